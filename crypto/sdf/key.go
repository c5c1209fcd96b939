package sdf

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"elicence/crypto/pki"
)

const (
	maxPassword = 256
	valueSize   = 32 // bytes of e, r, s, x and y of SM2
	fieldSize   = 64 // ECCref_MAX_LEN
)

// Key is an SM2 signature key inside a device. It implements crypto.Signer.
type Key struct {
	device   *Device
	index    uint32
	password []byte
	public   *ecdsa.PublicKey
	refused  atomic.Pointer[Error] // the device's answer to the password
}

var _ crypto.Signer = (*Key)(nil)

// Key returns the signature key at an index of the device. It reads the public key
// and tries the password, so that a wrong one is found now and not by the first
// licence.
func (d *Device) Key(index uint32, password []byte) (*Key, error) {
	if len(password) == 0 || len(password) > maxPassword {
		return nil, fmt.Errorf("sdf: a password of %d bytes; 1 to %d are allowed", len(password), maxPassword)
	}
	k := &Key{device: d, index: index, password: append([]byte{}, password...)}
	err := d.use(func(session handle) (err error) {
		if k.public, err = d.public(session, index); err != nil {
			return err
		}
		return k.permitted(session, func() error { return nil })
	})
	if err != nil {
		return nil, fmt.Errorf("opening key %d of %s: %w", index, d.path, err)
	}
	return k, nil
}

// public reads the public key at an index.
func (d *Device) public(session handle, index uint32) (*ecdsa.PublicKey, error) {
	p, err := d.lib.exportSignPublicKey(session, index)
	if err != nil {
		return nil, err
	}
	return p.key()
}

// Public is the key's public half, as the device gave it when the key was opened.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign signs e, the 32 bytes of SM3(ZA‖M), and returns DER as pki.SignMessage wants
// it. The device draws its own random numbers; rand and opts are not used.
func (k *Key) Sign(_ io.Reader, e []byte, _ crypto.SignerOpts) ([]byte, error) {
	if len(e) != valueSize {
		return nil, fmt.Errorf("sdf: a digest of %d bytes; SM2 signs %d", len(e), valueSize)
	}
	var der []byte
	err := k.device.use(func(session handle) error {
		if err := k.present(session); err != nil {
			return err
		}
		return k.permitted(session, func() error {
			signature, err := k.device.lib.internalSign(session, k.index, e)
			if err != nil {
				return err
			}
			der, err = k.checked(signature, e)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("signing with key %d of %s: %w", k.index, k.device.path, err)
	}
	return der, nil
}

// present reports by nil that the session's device still holds the key. It comes
// before the password: a stale session, or another device, is found here, so that
// what is said of the password is said by the right device.
func (k *Key) present(session handle) error {
	public, err := k.device.public(session, k.index)
	if err == nil && !k.public.Equal(public) {
		return errors.New("sdf: the device holds another key there now")
	}
	return err
}

// permitted calls do while the session has the right to use the private key.
func (k *Key) permitted(session handle, do func() error) error {
	if refused := k.refused.Load(); refused != nil {
		return fmt.Errorf("the password was refused and is not tried again before the next start: %w", refused)
	}
	lib := k.device.lib
	if err := lib.getPrivateKeyAccessRight(session, k.index, k.password); err != nil {
		e := new(Error)
		if errors.As(err, &e) && e.refusal() && k.present(session) == nil { // else the device just went away
			k.refused.Store(e)
		}
		return err
	}
	err := do()
	if release := lib.releasePrivateKeyAccessRight(session, k.index); err == nil {
		err = release // then the session is closed, and the right ends with it
	}
	return err
}

// checked is a signature in DER, once it verified.
func (k *Key) checked(s signature, e []byte) ([]byte, error) {
	r, okR := value(s.r)
	v, okS := value(s.s)
	if !okR || !okS {
		return nil, errors.New("sdf: the device gave r or s of more than 32 bytes")
	}
	der := pki.DERSignature([64]byte(append(r[:], v[:]...)))
	if !pki.VerifyDigest(k.public, e, der) {
		return nil, errors.New("sdf: the device gave a signature that its public key does not verify")
	}
	return der, nil
}

// publicKey is ECCrefPublicKey (GM/T 0018-2012 §5.4):
//
//	typedef struct ECCrefPublicKey_st {
//	    unsigned int  bits;
//	    unsigned char x[ECCref_MAX_LEN];
//	    unsigned char y[ECCref_MAX_LEN];
//	} ECCrefPublicKey;
type publicKey struct {
	bits uint32
	x, y [fieldSize]byte
}

// key is the public key, or an error when it is not a point of SM2's curve.
func (p publicKey) key() (*ecdsa.PublicKey, error) {
	x, okX := value(p.x)
	y, okY := value(p.y)
	if p.bits != 8*valueSize || !okX || !okY {
		return nil, fmt.Errorf("sdf: the device gave a public key of %d bits in a form that is not GM/T 0018-2012's", p.bits)
	}
	key, err := pki.ParsePublicKey(append(append([]byte{4}, x[:]...), y[:]...))
	if err != nil {
		return nil, fmt.Errorf("sdf: the device gave a public key that is none: %w", err)
	}
	return key.(*ecdsa.PublicKey), nil
}

// signature is ECCSignature (GM/T 0018-2012 §5.4):
//
//	typedef struct ECCSignature_st {
//	    unsigned char r[ECCref_MAX_LEN];
//	    unsigned char s[ECCref_MAX_LEN];
//	} ECCSignature;
type signature struct{ r, s [fieldSize]byte }

// value is the 32 bytes at the end of a field, and whether only zeros precede them.
func value(field [fieldSize]byte) (v [valueSize]byte, ok bool) {
	ok = [fieldSize - valueSize]byte(field[:fieldSize-valueSize]) == [fieldSize - valueSize]byte{}
	return [valueSize]byte(field[fieldSize-valueSize:]), ok
}
