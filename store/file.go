package store

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/emmansun/gmsm/sm3"

	"elicence/crypto/pki"
)

// maxFile bounds a file that is read, in bytes, encrypted.
const maxFile = 64 << 20

// fileCipher encrypts licence files, in every storage under the same name and in the
// same form: a folder may be copied into a bucket, and back.
type fileCipher struct{ *pki.Cipher }

// seal encrypts a file for the name that its digest gives it.
func (c fileCipher) seal(digest [32]byte, data []byte) (sealed []byte, err error) {
	sealed, err = c.Seal(rand.Reader, data, fileAAD(digest))
	if err == nil && len(sealed) > maxFile {
		err = fmt.Errorf("%d bytes are too many", len(data))
	}
	return sealed, err
}

// open decrypts what is stored under a digest, and compares it with the digest.
func (c fileCipher) open(digest [32]byte, sealed []byte) ([]byte, error) {
	data, err := c.Open(sealed, fileAAD(digest))
	if err != nil {
		return nil, fmt.Errorf("file %x: %w", digest, err)
	}
	if sm3.Sum(data) != digest {
		return nil, fmt.Errorf("file %x: its content has another digest", digest)
	}
	return data, nil
}

func fileAAD(digest [32]byte) []byte { return append([]byte("file\x00"), digest[:]...) }

// fileName is ab/abcd….sm4, with slashes.
func fileName(digest [32]byte) string {
	name := hex.EncodeToString(digest[:])
	return name[:2] + "/" + name + ".sm4"
}
