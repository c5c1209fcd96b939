// Package sdf signs with SM2 keys that stay in a cryptographic device (密码设备),
// through the C interface of GM/T 0018-2012 (SDF), which GB/T 36322 repeats.
//
// A vendor's shared library is loaded with dlopen when a device is opened, so one
// binary serves with and without a device. All cgo of the project is here; built
// without cgo, or for another system than Linux, Open returns an error and all
// else works.
//
// Invariants:
//   - A private key never leaves the device: it signs the 32-byte digest
//     e = SM3(ZA‖M) and gives r and s.
//   - The right to use a private key is held only while it signs.
//   - What a library answers is not believed: a public key must lie on the curve,
//     and a signature must verify under it, or the answer is an error.
//   - At most maxSessions calls run at once; further callers wait, but not for ever.
//   - A device that went away is opened anew by the next use. A password that was
//     refused is not tried again, because devices lock keys after a few tries.
//
// The text of GM/T 0018 was not at hand. Function names, arguments, structures and
// codes are those that published headers of several vendors agree on. Inferred from
// them, and held to strictly: fields of 64 bytes (ECCref_MAX_LEN = 512 bits) with
// the 32 bytes of an SM2 value at their end and zeros before; unsigned int of 32
// bits; no packing. A library with fields of 32 bytes (the edition before 2012) is
// refused when its key is read.
//
// A call that hangs inside the library cannot be cut short; it keeps its session,
// and an opening that hangs keeps all others waiting.
package sdf

import (
	"fmt"
	"sync"
	"time"
)

const (
	// maxSessions bounds the sessions of one device. GM/T 0018 names no number; the
	// smallest devices offer a few dozen.
	maxSessions = 8
	// maxWait is how long a use waits for a session to become free.
	maxWait = 10 * time.Second
)

// handle is a device or session handle: the library's business, never followed.
type handle uintptr

// Device is one cryptographic device. It is safe for concurrent use.
type Device struct {
	path  string
	lib   *library      // stays loaded: vendors' libraries do not survive dlclose
	slots chan struct{} // one element for each session in use

	mu     sync.Mutex
	now    *connection // guarded by mu; nil: the next use opens the device
	closed bool        // guarded by mu
}

// connection is one opening of a device. Its fields are guarded by Device.mu.
type connection struct {
	device handle
	idle   []handle // sessions
	used   int      // sessions in use
	proved bool     // something worked with it
	gone   bool     // closed when the last session in use comes back
}

// Open loads a library, named by its path, and opens its device.
func Open(path string) (*Device, error) {
	lib, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("sdf: loading %s: %w", path, err)
	}
	d := &Device{path: path, lib: lib, slots: make(chan struct{}, maxSessions)}
	if err := d.use(func(handle) error { return nil }); err != nil {
		return nil, fmt.Errorf("opening the device of %s: %w", path, err)
	}
	return d, nil
}

// Close closes the device once its uses under way have ended; later ones are
// refused. Its library stays loaded.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return d.drop(d.now)
}

// use calls do with a session of its own. When a device that worked before went
// away since, do is called once more on the device opened anew.
func (d *Device) use(do func(session handle) error) error {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-timer.C:
		return fmt.Errorf("sdf: all %d sessions of %s are busy", maxSessions, d.path)
	}
	again, err := d.try(do)
	if again {
		_, err = d.try(do)
	}
	return err
}

// try calls do with a session that was idle or is new. A session that met an error
// is not used again. It reports whether another try, on the device opened anew, may
// succeed.
func (d *Device) try(do func(session handle) error) (again bool, err error) {
	c, session, err := d.take()
	if err != nil {
		return c != nil, err
	}
	err = do(session)
	d.mu.Lock()
	defer d.mu.Unlock()
	c.used--
	again = c.proved && gone(err)
	if err == nil && !c.gone {
		c.proved, c.idle = true, append(c.idle, session)
		return false, nil
	}
	_ = d.lib.closeSession(session) // of a device that may be gone
	if gone(err) || c.gone {
		_ = d.drop(c)
	}
	return again, err
}

// take returns an idle session, or opens one, and the device before it. With an
// error it returns the connection if that worked before and was dropped now.
func (d *Device) take() (*connection, handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, 0, fmt.Errorf("sdf: %s is closed", d.path)
	}
	if d.now == nil {
		device, err := d.lib.openDevice()
		if err != nil {
			return nil, 0, err
		}
		d.now = &connection{device: device}
	}
	c := d.now
	session, err := d.session(c)
	switch {
	case err == nil:
		c.used++
		return c, session, nil
	case c.used > 0: // the device may have no more of them
		return nil, 0, err
	}
	_ = d.drop(c)
	if !c.proved {
		c = nil
	}
	return c, 0, err
}

// session takes an idle session or opens one; d.mu is held.
func (d *Device) session(c *connection) (handle, error) {
	if last := len(c.idle) - 1; last >= 0 {
		session := c.idle[last]
		c.idle = c.idle[:last]
		return session, nil
	}
	return d.lib.openSession(c.device)
}

// drop lets go of a connection: its idle sessions now, the device with the last
// session in use. d.mu is held.
func (d *Device) drop(c *connection) error {
	if c == nil {
		return nil
	}
	if d.now == c {
		d.now = nil
	}
	c.gone = true
	for _, session := range c.idle {
		_ = d.lib.closeSession(session) // goes with the device
	}
	c.idle = nil
	if c.used > 0 {
		return nil
	}
	return d.lib.closeDevice(c.device)
}
