//go:build cgo && linux

package sdf

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Handles are void pointers in the standard; here they are numbers, so that Go's
// runtime never takes one for a pointer of its own.
typedef struct { unsigned int bits; unsigned char x[64], y[64]; } elc_public_key;
typedef struct { unsigned char r[64], s[64]; } elc_signature;

typedef struct {
	int (*OpenDevice)(uintptr_t *);
	int (*CloseDevice)(uintptr_t);
	int (*OpenSession)(uintptr_t, uintptr_t *);
	int (*CloseSession)(uintptr_t);
	int (*GetPrivateKeyAccessRight)(uintptr_t, unsigned int, unsigned char *, unsigned int);
	int (*ReleasePrivateKeyAccessRight)(uintptr_t, unsigned int);
	int (*ExportSignPublicKey_ECC)(uintptr_t, unsigned int, void *);
	int (*InternalSign_ECC)(uintptr_t, unsigned int, unsigned char *, unsigned int, void *);
} elc_sdf;

// elc_load fills in f and returns NULL, or the text of what is wrong.
static const char *elc_load(const char *path, elc_sdf *f) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) return dlerror();
#define ELC_SYMBOL(name) \
	if ((*(void **)&f->name = dlsym(lib, "SDF_" #name)) == NULL) { return "it has no function SDF_" #name; }
	ELC_SYMBOL(OpenDevice)
	ELC_SYMBOL(CloseDevice)
	ELC_SYMBOL(OpenSession)
	ELC_SYMBOL(CloseSession)
	ELC_SYMBOL(GetPrivateKeyAccessRight)
	ELC_SYMBOL(ReleasePrivateKeyAccessRight)
	ELC_SYMBOL(ExportSignPublicKey_ECC)
	ELC_SYMBOL(InternalSign_ECC)
	return NULL;
}

static int elc_open_device(elc_sdf *f, uintptr_t *h) { return f->OpenDevice(h); }
static int elc_close_device(elc_sdf *f, uintptr_t h) { return f->CloseDevice(h); }
static int elc_open_session(elc_sdf *f, uintptr_t d, uintptr_t *h) { return f->OpenSession(d, h); }
static int elc_close_session(elc_sdf *f, uintptr_t h) { return f->CloseSession(h); }
static int elc_release(elc_sdf *f, uintptr_t h, unsigned int index) { return f->ReleasePrivateKeyAccessRight(h, index); }
static int elc_access(elc_sdf *f, uintptr_t h, unsigned int index, unsigned char *p, unsigned int n) {
	return f->GetPrivateKeyAccessRight(h, index, p, n);
}

// What a library writes goes into more room than the standard asks for, zeroed
// before: one with wider fields spoils nothing, and a shorter answer ends in zeros.
#define ELC_ROOM 4096
static int elc_export(elc_sdf *f, uintptr_t h, unsigned int index, elc_public_key *out) {
	union { elc_public_key key; unsigned char room[ELC_ROOM]; } u;
	memset(&u, 0, sizeof u);
	int rv = f->ExportSignPublicKey_ECC(h, index, &u);
	*out = u.key;
	return rv;
}
static int elc_sign(elc_sdf *f, uintptr_t h, unsigned int index, unsigned char *e, unsigned int n, elc_signature *out) {
	union { elc_signature signature; unsigned char room[ELC_ROOM]; } u;
	memset(&u, 0, sizeof u);
	int rv = f->InternalSign_ECC(h, index, e, n, &u);
	*out = u.signature;
	return rv;
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// library is a loaded SDF library.
type library struct{ functions C.elc_sdf }

func load(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	l := new(library)
	if fault := C.elc_load(name, &l.functions); fault != nil {
		return nil, errors.New(C.GoString(fault))
	}
	return l, nil
}

// result is the error of a function's return value.
func result(function string, rv C.int) error {
	if rv == 0 {
		return nil
	}
	return &Error{Function: "SDF_" + function, Code: uint32(rv)}
}

func (l *library) openDevice() (handle, error) {
	var h C.uintptr_t
	err := result("OpenDevice", C.elc_open_device(&l.functions, &h))
	return handle(h), err
}

func (l *library) closeDevice(device handle) error {
	return result("CloseDevice", C.elc_close_device(&l.functions, C.uintptr_t(device)))
}

func (l *library) openSession(device handle) (handle, error) {
	var h C.uintptr_t
	err := result("OpenSession", C.elc_open_session(&l.functions, C.uintptr_t(device), &h))
	return handle(h), err
}

func (l *library) closeSession(session handle) error {
	return result("CloseSession", C.elc_close_session(&l.functions, C.uintptr_t(session)))
}

// getPrivateKeyAccessRight hands over a copy of the password: a library may write there.
func (l *library) getPrivateKeyAccessRight(session handle, index uint32, password []byte) error {
	p := C.CBytes(password)
	defer C.free(p)
	defer clear(unsafe.Slice((*byte)(p), len(password)))
	rv := C.elc_access(&l.functions, C.uintptr_t(session), C.uint(index), (*C.uchar)(p), C.uint(len(password)))
	return result("GetPrivateKeyAccessRight", rv)
}

func (l *library) releasePrivateKeyAccessRight(session handle, index uint32) error {
	return result("ReleasePrivateKeyAccessRight", C.elc_release(&l.functions, C.uintptr_t(session), C.uint(index)))
}

func (l *library) exportSignPublicKey(session handle, index uint32) (publicKey, error) {
	var p C.elc_public_key
	if err := result("ExportSignPublicKey_ECC", C.elc_export(&l.functions, C.uintptr_t(session), C.uint(index), &p)); err != nil {
		return publicKey{}, err
	}
	return publicKey{bits: uint32(p.bits), x: field(&p.x), y: field(&p.y)}, nil
}

func (l *library) internalSign(session handle, index uint32, e []byte) (signature, error) {
	var s C.elc_signature
	p := C.CBytes(e)
	defer C.free(p)
	rv := C.elc_sign(&l.functions, C.uintptr_t(session), C.uint(index), (*C.uchar)(p), C.uint(len(e)), &s)
	if err := result("InternalSign_ECC", rv); err != nil {
		return signature{}, err
	}
	return signature{r: field(&s.r), s: field(&s.s)}, nil
}

func field(c *[fieldSize]C.uchar) (f [fieldSize]byte) {
	for i, b := range c {
		f[i] = byte(b)
	}
	return f
}
