package sdf

import (
	"errors"
	"fmt"
)

// Error is what a function of the library returned other than 0.
type Error struct {
	Function string // such as SDF_InternalSign_ECC
	Code     uint32
}

// Error names the function, the code and what the standard calls it.
func (e *Error) Error() string {
	if known, ok := codes[e.Code]; ok {
		return fmt.Sprintf("%s returned 0x%08X (%s: %s)", e.Function, e.Code, known.name, known.text)
	}
	return fmt.Sprintf("%s returned 0x%08X, a code of the vendor's own", e.Function, e.Code)
}

// The codes that decide something here (GM/T 0018-2012 Annex A).
const (
	codeUnknown     = 0x01000001
	codeCommFail    = 0x01000003
	codeHardFail    = 0x01000004
	codeOpenDevice  = 0x01000005
	codeOpenSession = 0x01000006
	codeArgument    = 0x0100001D
)

// codes are those of GM/T 0018-2012 Annex A that the functions used here may
// return. From 0x0100001F on vendors count for themselves, and some before.
var codes = map[uint32]struct{ name, text string }{
	codeUnknown:     {"SDR_UNKNOWERR", "unknown fault"},
	0x01000002:      {"SDR_NOTSUPPORT", "the function is not supported"},
	codeCommFail:    {"SDR_COMMFAIL", "the device cannot be reached"},
	codeHardFail:    {"SDR_HARDFAIL", "the device's hardware does not respond"},
	codeOpenDevice:  {"SDR_OPENDEVICE", "the device cannot be opened"},
	codeOpenSession: {"SDR_OPENSESSION", "no session can be opened"},
	0x01000007:      {"SDR_PARDENY", "no right to use the private key"},
	0x01000008:      {"SDR_KEYNOTEXIST", "there is no such key"},
	0x01000009:      {"SDR_ALGNOTSUPPORT", "the algorithm is not supported"},
	0x0100000A:      {"SDR_ALGMODNOTSUPPORT", "the mode is not supported"},
	0x0100000B:      {"SDR_PKOPERR", "the public key operation failed"},
	0x0100000C:      {"SDR_SKOPERR", "the private key operation failed"},
	0x0100000D:      {"SDR_SIGNERR", "signing failed"},
	0x0100000E:      {"SDR_VERIFYERR", "verifying failed"},
	0x01000010:      {"SDR_STEPERR", "wrong order of steps"},
	0x01000014:      {"SDR_KEYTYPEERR", "the key is of another type"},
	0x01000015:      {"SDR_KEYERR", "the key is damaged"},
	0x01000017:      {"SDR_RANDERR", "no random numbers"},
	0x01000018:      {"SDR_PRKRERR", "the right to use the private key was refused"},
	0x0100001C:      {"SDR_NOBUFFER", "too little room"},
	codeArgument:    {"SDR_INARGERR", "wrong input argument"},
	0x0100001E:      {"SDR_OUTARGERR", "wrong output argument"},
}

// gone reports whether an error says that the device is not there any more, or not
// the one that the handles belong to. The standard has no code for a stale handle:
// since all other arguments are known to be good, SDR_INARGERR means that, and so
// may any code of the vendor's own.
func gone(err error) bool {
	e := new(Error)
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case codeUnknown, codeCommFail, codeHardFail, codeOpenDevice, codeOpenSession, codeArgument:
		return true
	}
	_, named := codes[e.Code]
	return !named
}

// refusal reports whether the answer to a password may mean that it was wrong: it
// may unless the device could not be reached. Vendors answer a wrong password in
// ways of their own, and every further try may be the one that locks the key.
func (e *Error) refusal() bool { return e.Code != codeCommFail && e.Code != codeHardFail }
