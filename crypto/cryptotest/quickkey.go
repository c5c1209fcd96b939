package cryptotest

import (
	"encoding/pem"
	"fmt"
	"os"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/pkcs"
	"github.com/emmansun/gmsm/pkcs8"
)

// QuickenKey writes an SM2 key file again, with its mode, under the same passphrase but
// with a derivation of 1,000 iterations. pki.ParsePrivateKey opens it the same way in a
// fiftieth of the time, which a test that starts many processes over the same keys would
// mostly consist of. Only for keys that protect nothing.
func QuickenKey(file string, passphrase []byte) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	key, err := pki.ParsePrivateKey(text, passphrase)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	block, _ := pem.Decode(text)
	block.Bytes, err = pkcs8.MarshalPrivateKey(key, passphrase, pkcs.NewPBESEncrypter(pkcs.SM4CBC, pkcs.NewPBKDF2Opts(pkcs.SM3, 16, 1000)))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, pem.EncodeToMemory(block), 0) // which is there, and keeps its mode
}
