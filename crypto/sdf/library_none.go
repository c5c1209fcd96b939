//go:build !(cgo && linux)

package sdf

import "errors"

// errNone is why no library can be loaded by this binary.
var errNone = errors.New("this binary cannot load SDF libraries: it was built without cgo, or not for Linux")

// library is never made here: load fails.
type library struct{}

func load(string) (*library, error) { return nil, errNone }

func (*library) openDevice() (handle, error)                            { return 0, errNone }
func (*library) closeDevice(handle) error                               { return errNone }
func (*library) openSession(handle) (handle, error)                     { return 0, errNone }
func (*library) closeSession(handle) error                              { return errNone }
func (*library) getPrivateKeyAccessRight(handle, uint32, []byte) error  { return errNone }
func (*library) releasePrivateKeyAccessRight(handle, uint32) error      { return errNone }
func (*library) exportSignPublicKey(handle, uint32) (publicKey, error)  { return publicKey{}, errNone }
func (*library) internalSign(handle, uint32, []byte) (signature, error) { return signature{}, errNone }
