// Command fakesdf is an SDF device (GM/T 0018-2012) without a device, for tests:
//
//	go build -buildmode=c-shared -o libfakesdf.so ./crypto/sdf/testdata/fakesdf
//
// The environment variable FAKESDF names a file with the device in JSON, which is
// read anew at every call, so that a test may pull the device out while it is used.
// Every call is noted in the file of that name with .calls behind it.
package main

/*
#include <stdint.h>
#include <stdlib.h>
typedef struct { unsigned int bits; unsigned char x[64], y[64]; } public_key;
typedef struct { unsigned char r[64], s[64]; } signature;
*/
import "C"

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
)

// config is the device.
type config struct {
	// Keys are the seeds of the signature keys, by index.
	Keys     map[string]string `json:"keys"`
	Password string            `json:"password"`
	// Fault is what is wrong with the device, once it has made After signatures.
	Fault string `json:"fault"`
	After int    `json:"after"`
	// Generation is changed when the device was away between two calls: handles
	// from before are stale.
	Generation int `json:"generation"`
	// Stale is what is returned for a stale handle, if not SDR_INARGERR.
	Stale uint32 `json:"stale"`
	// Refused is what is returned for a wrong password, if not SDR_PRKRERR.
	Refused uint32 `json:"refused"`
}

const (
	commFail    = 0x01000003
	openSession = 0x01000006
	noRight     = 0x01000007
	noKey       = 0x01000008
	signFailed  = 0x0100000D
	wrongRight  = 0x01000018
	wrongInput  = 0x0100001D
)

// state is the device's memory. mu guards it.
var state struct {
	mu         sync.Mutex
	generation int
	last       C.uintptr_t
	open       map[C.uintptr_t]map[C.uint]bool // handles with the keys they may use; nil for a device
	signed     int
}

// call notes a call, reads the device and looks the handle up, if there is one.
func call(name string, h *C.uintptr_t) (c config, code C.int) {
	env := C.CString("FAKESDF")
	defer C.free(unsafe.Pointer(env))
	path := C.GoString(C.getenv(env))
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &c) != nil {
		return c, commFail
	}
	note(path+".calls", name)
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.signed < c.After {
		c.Fault = ""
	}
	if state.open == nil || c.Fault == "removed" || state.generation != c.Generation {
		state.open, state.generation = map[C.uintptr_t]map[C.uint]bool{}, c.Generation
	}
	if c.Fault == "removed" {
		return c, commFail
	}
	if h == nil {
		return c, 0
	}
	if _, known := state.open[*h]; !known {
		return c, C.int(or(c.Stale, wrongInput))
	}
	return c, 0
}

func or(code, usual uint32) uint32 {
	if code == 0 {
		return usual
	}
	return code
}

// note appends a line, which the tests count.
func note(path, name string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(f, name)
		f.Close()
	}
}

// newHandle makes a device, with nil, or a session.
func newHandle(rights map[C.uint]bool) C.uintptr_t {
	state.mu.Lock()
	defer state.mu.Unlock()
	state.last += 16
	state.open[state.last] = rights
	return state.last
}

func forget(h C.uintptr_t) {
	state.mu.Lock()
	defer state.mu.Unlock()
	delete(state.open, h)
}

//export SDF_OpenDevice
func SDF_OpenDevice(h *C.uintptr_t) C.int {
	_, code := call("OpenDevice", nil)
	if code == 0 {
		*h = newHandle(nil)
	}
	return code
}

//export SDF_CloseDevice
func SDF_CloseDevice(h C.uintptr_t) C.int {
	_, code := call("CloseDevice", &h)
	forget(h)
	return code
}

//export SDF_OpenSession
func SDF_OpenSession(device C.uintptr_t, h *C.uintptr_t) C.int {
	c, code := call("OpenSession", &device)
	switch {
	case code != 0:
		return code
	case c.Fault == "no_sessions":
		return openSession
	}
	*h = newHandle(map[C.uint]bool{})
	return 0
}

//export SDF_CloseSession
func SDF_CloseSession(h C.uintptr_t) C.int {
	_, code := call("CloseSession", &h)
	forget(h)
	return code
}

//export SDF_GetPrivateKeyAccessRight
func SDF_GetPrivateKeyAccessRight(h C.uintptr_t, index C.uint, password *C.uchar, n C.uint) C.int {
	c, code := call("GetPrivateKeyAccessRight", &h)
	if code != 0 {
		return code
	}
	if !bytes.Equal(C.GoBytes(unsafe.Pointer(password), C.int(n)), []byte(c.Password)) {
		return C.int(or(c.Refused, wrongRight))
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	state.open[h][index] = true
	return 0
}

//export SDF_ReleasePrivateKeyAccessRight
func SDF_ReleasePrivateKeyAccessRight(h C.uintptr_t, index C.uint) C.int {
	_, code := call("ReleasePrivateKeyAccessRight", &h)
	if code != 0 {
		return code
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	delete(state.open[h], index)
	return 0
}

// key makes the key at an index from its seed.
func (c config) key(index C.uint) *sm2.PrivateKey {
	seed, ok := c.Keys[strconv.Itoa(int(index))]
	if !ok {
		return nil
	}
	return seeded(seed)
}

func seeded(seed string) *sm2.PrivateKey {
	d := sm3.Sum([]byte(seed))
	d[0] &= 0x7f // below the order
	key, err := sm2.NewPrivateKey(d[:])
	if err != nil {
		panic(err)
	}
	return key
}

//export SDF_ExportSignPublicKey_ECC
func SDF_ExportSignPublicKey_ECC(h C.uintptr_t, index C.uint, out *C.public_key) C.int {
	c, code := call("ExportSignPublicKey_ECC", &h)
	if code != 0 {
		return code
	}
	key := c.key(index)
	if key == nil {
		return noKey
	}
	if c.Fault == "other_key" {
		key = seeded("other")
	}
	b, err := pki.PublicKeyBytes(key.Public())
	if err != nil {
		panic(err)
	}
	out.bits = 256
	put(&out.x, b[1:33])
	put(&out.y, b[33:])
	spoilKey(c.Fault, out)
	return 0
}

// spoilKey does to a public key what the fault says.
func spoilKey(fault string, out *C.public_key) {
	switch fault {
	case "no_key":
		*out = C.public_key{}
	case "off_curve":
		out.y[63] ^= 1
	case "beyond_field":
		for i := 32; i < 64; i++ {
			out.x[i] = 0xff
		}
	case "infinity":
		*out = C.public_key{bits: 256}
	case "bits":
		out.bits = 512
	case "left_aligned":
		copy(out.x[:32], out.x[32:])
	case "short_key":
		out.y = [64]C.uchar{}
	case "narrow_fields": // x and y of 32 bytes each, one after the other
		copy(out.x[:32], out.x[32:])
		copy(out.x[32:], out.y[32:])
		out.y = [64]C.uchar{}
	case "overlong":
		overwrite(unsafe.Pointer(out))
	}
}

// overwrite writes more than the standard's structure has room for.
func overwrite(p unsafe.Pointer) {
	clear(unsafe.Slice((*byte)(p), 2048))
	for i, b := range unsafe.Slice((*byte)(p), 2048) {
		unsafe.Slice((*byte)(p), 2048)[i] = b ^ 0xaa
	}
}

//export SDF_InternalSign_ECC
func SDF_InternalSign_ECC(h C.uintptr_t, index C.uint, data *C.uchar, n C.uint, out *C.signature) C.int {
	c, code := call("InternalSign_ECC", &h)
	if code != 0 {
		return code
	}
	if c.Fault == "slow" {
		time.Sleep(100 * time.Millisecond)
	}
	if code := permitted(h, index); code != 0 {
		return code
	}
	key := c.key(index)
	if key == nil {
		return noKey
	}
	if c.Fault == "other_signer" {
		key = seeded("other")
	}
	der, err := sm2.SignASN1(rand.Reader, key, C.GoBytes(unsafe.Pointer(data), C.int(n)), nil)
	if err != nil || n != 32 || c.Fault == "sign_fails" {
		return signFailed
	}
	raw, err := pki.RawSignature(der)
	if err != nil {
		return signFailed
	}
	put(&out.r, raw[:32])
	put(&out.s, raw[32:])
	spoilSignature(c.Fault, out)
	return 0
}

// permitted checks a session's right to a key and counts the signature.
func permitted(h C.uintptr_t, index C.uint) C.int {
	state.mu.Lock()
	defer state.mu.Unlock()
	if !state.open[h][index] {
		return noRight
	}
	state.signed++
	return 0
}

// spoilSignature does to a signature what the fault says.
func spoilSignature(fault string, out *C.signature) {
	switch fault {
	case "no_signature":
		*out = C.signature{}
	case "zero_s":
		out.s = [64]C.uchar{}
	case "flipped":
		out.s[40] ^= 1
	case "garbage":
		for i := 32; i < 64; i++ {
			out.r[i], out.s[i] = C.uchar(i), C.uchar(3*i)
		}
	case "beyond_order":
		for i := 32; i < 64; i++ {
			out.r[i] = 0xff
		}
	case "wide_signature":
		out.r[0] = 1
	case "left_aligned_signature":
		copy(out.r[:32], out.r[32:])
		clear(out.r[32:])
	case "overlong_signature":
		overwrite(unsafe.Pointer(out))
	}
}

// put writes a value to the end of a field.
func put(field *[64]C.uchar, value []byte) {
	*field = [64]C.uchar{}
	for i, b := range value {
		field[64-len(value)+i] = C.uchar(b)
	}
}

func main() {}
