//go:build !linux

package s3test

import "syscall"

var untilParentEnds *syscall.SysProcAttr
