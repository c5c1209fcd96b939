package s3test

import "syscall"

// untilParentEnds ends the service with a test process that is killed.
var untilParentEnds = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
