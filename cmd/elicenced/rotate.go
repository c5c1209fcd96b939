package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/seal"

	"github.com/emmansun/gmsm/sm3"
)

// sealSuffix ends the name of a file with a seal (SESeal, DER).
const sealSuffix = ".esl"

// rotateCmd gives a certificate of an instance a new key (密钥更换): in a file, or one
// that was made in a device. It may run beside the service, which goes on with the
// keys that it read when it started.
type rotateCmd struct {
	location
	Name            string `arg:"" help:"seal-CODE, maker, qr, tsa, trust-list, event or answer; the last two also where there is none yet."`
	PassphraseFile  string `help:"File that holds the passphrase of the keys (or set ELICENCE_PASSPHRASE; default: passphrase in the folder)." type:"path"`
	SDFLibrary      string `name:"sdf-library" help:"The new key is in a device: its GM/T 0018 library." type:"path"`
	SDFIndex        uint32 `name:"sdf-index" help:"Index of the key in the device."`
	SDFPasswordFile string `name:"sdf-password-file" help:"File that holds the password of that index." type:"path"`
}

// Run rotates one key. The order: everything that can fail without a key is done
// first; the log says what is about to be signed; the new set is written beside the
// old and made durable; one rename decides; the files move into place.
func (r *rotateCmd) Run(ctx context.Context) error {
	set, err := r.settings()
	if err != nil {
		return err
	}
	keys, err := r.keys(r.PassphraseFile)
	if err != nil {
		return err
	}
	defer keys.devices.close()
	staged, err := keys.stage()
	if err != nil {
		return err
	}
	n, err := r.newKey(keys, staged, set)
	if err == nil {
		err = r.prepare(ctx, keys, n)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rotating %s: %w", r.Name, err), os.RemoveAll(staged.dir))
	}
	if err := r.commit(ctx, keys, n); err != nil {
		return fmt.Errorf("rotating %s: %w", r.Name, err)
	}
	fmt.Printf("%s has a new key, certificate %s…; it takes effect at the next start of serve\n", r.Name, hex.EncodeToString(n.cert.SerialNumber.Bytes())[:16])
	if n.old == nil {
		fmt.Println("make a new backup of the keys")
		return nil
	}
	fmt.Printf("the old certificate and key are in %s; old licences verify as before. Make a new backup of the keys\n", keys.path(retiredDir))
	return nil
}

// prepare makes the new set, once the log says so.
func (r *rotateCmd) prepare(ctx context.Context, keys keyring, n *newKey) error {
	point, err := pki.PublicKeyBytes(n.key.Public())
	if err != nil {
		return err
	}
	if err := r.appendLog(ctx, keys, actionRotate, r.Name, sm3.Sum(point)); err != nil {
		return err
	}
	return n.make()
}

// commit makes the new set the present one, and says so in the log.
func (r *rotateCmd) commit(ctx context.Context, keys keyring, n *newKey) error {
	if err := commitRotation(keys.dir); err != nil {
		return err
	}
	if err := r.appendLog(ctx, keys, actionRotated, r.Name, sm3.Sum(n.cert.Raw)); err != nil {
		return fmt.Errorf("the key is rotated, but the log lacks its entry %s: %w", actionRotated, err)
	}
	return nil
}

// newKey is a rotation on its way.
type newKey struct {
	name      string
	usage     pki.Usage
	uscc      string       // of a seal signer
	seals     []*seal.Seal // those that must be made again, by file name
	files     []string
	keys      keyring          // the present set
	made      setup            // the new one
	old, cert *pki.Certificate // old is nil when there was none
	key       crypto.Signer
}

// newKey checks what is asked for, archives the old pair in the staged set, and
// makes or opens the key.
func (r *rotateCmd) newKey(keys, staged keyring, set settings) (n *newKey, err error) {
	n = &newKey{name: r.Name, keys: keys,
		made: setup{keyring: staged, settings: set, now: time.Now().UTC().Truncate(time.Second)}}
	if n.usage, n.uscc, err = rotatable(r.Name, set); err != nil {
		return nil, err
	}
	if n.old, err = keys.certificate(r.Name); errors.Is(err, os.ErrNotExist) && firstSubjects[r.Name] != "" {
		n.old = nil // of an instance made before there were such keys: this is the first
	} else if err != nil {
		return nil, err
	}
	if err := n.findSeals(set); err != nil {
		return nil, err
	}
	if err := n.checkOldKey(); err != nil {
		return nil, err
	}
	if err := n.retire(); err != nil {
		return nil, err
	}
	if n.key, err = r.makeKey(staged); err != nil {
		return nil, err
	}
	if n.old != nil && pki.SamePublicKey(n.old, n.key) {
		return nil, fmt.Errorf("%w: that key of the device is the present one", errUsage)
	}
	return n, nil
}

// rotatable gives the usage of a name, and the authority's code when it is a seal.
func rotatable(name string, set settings) (pki.Usage, string, error) {
	if code, ok := strings.CutPrefix(name, "seal-"); ok && slices.ContainsFunc(set.Authorities, func(a authority) bool { return a.Code == code }) {
		return pki.UsageSealSigner, code, nil
	}
	usage, ok := map[string]pki.Usage{"maker": pki.UsageSealMaker, "qr": pki.UsageQR, "tsa": pki.UsageTimestamp, "trust-list": pki.UsageTrustList, eventKey: pki.UsageEvent, answerKey: pki.UsageAnswer}[name]
	if !ok {
		return "", "", fmt.Errorf("%w: no key %q to rotate; there are maker, qr, tsa, trust-list, event, answer, and seal-CODE for the code of each authority", errUsage, name)
	}
	return usage, "", nil
}

// makeKey draws a key, or opens the device's, and leaves it in the staged set.
func (r *rotateCmd) makeKey(staged keyring) (crypto.Signer, error) {
	if r.SDFLibrary == "" {
		if r.SDFIndex != 0 || r.SDFPasswordFile != "" {
			return nil, fmt.Errorf("%w: --sdf-index and --sdf-password-file go with --sdf-library", errUsage)
		}
		key, err := pki.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, errors.Join(staged.saveKey(r.Name, key), staged.drop(r.Name+deviceKeyNote))
	}
	note := deviceNote{Library: r.SDFLibrary, Index: r.SDFIndex, PasswordFile: r.SDFPasswordFile}
	if err := note.check(); err != nil {
		return nil, fmt.Errorf("%w: --sdf-library, --sdf-index and --sdf-password-file: %w", errUsage, err)
	}
	text, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(staged.path(r.Name+deviceKeyNote), text, 0o600); err != nil {
		return nil, err
	}
	key, err := staged.deviceKey(r.Name)
	return key, errors.Join(err, staged.drop(r.Name+softwareKey))
}

// checkOldKey refuses to archive as the old key a file that is none. A device is not
// asked: it may be lost, and what is archived of it is a note.
func (n *newKey) checkOldKey() error {
	if device, err := n.keys.inDevice(n.name); err != nil || device {
		return err
	}
	if _, _, err := n.keys.pair(n.name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the present key does not open (put it back from a backup, or, if it is lost, move %s away and rotate again): %w",
			n.keys.path(n.name+softwareKey), err)
	}
	return nil
}

// retire copies what is replaced into the archive of the staged set, under the key
// id of the old certificate.
func (n *newKey) retire() error {
	if n.old == nil {
		return nil
	}
	for _, suffix := range []string{".cer.pem", softwareKey, deviceKeyNote} {
		if err := n.archive(n.name, suffix); err != nil {
			return err
		}
	}
	for _, file := range n.files {
		if err := n.archive(file, sealSuffix); err != nil {
			return err
		}
	}
	return nil
}

// archive copies one file, if it is there.
func (n *newKey) archive(name, suffix string) error {
	content, err := os.ReadFile(n.keys.path(name + suffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	id := pki.KeyID(n.old)
	return os.WriteFile(n.made.path(fmt.Sprintf("%s/%s-%x%s", retiredDir, name, id, suffix)), content, 0o600)
}

// findSeals finds the seals that must be made again: with a new maker those that the
// old one made, with a new signer its own, which only the present maker can make.
func (n *newKey) findSeals(set settings) error {
	maker, err := n.keys.certificate("maker")
	if err != nil {
		return err
	}
	all, err := n.keys.ownSeals(set)
	if err != nil {
		return err
	}
	for _, a := range all {
		if n.usage != pki.UsageSealMaker && a.Code != n.uscc {
			continue
		}
		file := a.name
		der, err := os.ReadFile(n.keys.path(file + sealSuffix))
		if err != nil {
			return err
		}
		s, err := seal.ParseSeal(der)
		if err != nil {
			return fmt.Errorf("the seal of %s: %w", a.Name, err)
		}
		ours := s.Maker.Equal(maker)
		switch {
		case n.usage == pki.UsageSealMaker && !ours:
			continue
		case !ours:
			return fmt.Errorf("the seal of %s was not made by this instance: have its maker make one for the new certificate", a.Name)
		case s.CertListType != seal.ListsCertificates:
			return fmt.Errorf("the seal of %s lists digests of certificates, of which it cannot be made again", a.Name)
		}
		n.seals, n.files = append(n.seals, s), append(n.files, file)
	}
	return nil
}

// make signs the certificate and the seals. Subject and lifetime are the old ones'.
func (n *newKey) make() error {
	issuing, key, err := n.keys.pair("issuing")
	if err != nil {
		return err
	}
	ca := &pki.CA{Certificate: issuing, Key: key}
	subject := pkix.Name{CommonName: firstSubjects[n.name]}
	if n.old != nil {
		subject = n.old.Subject
	}
	n.cert, err = ca.Issue(rand.Reader, n.made.request(subject, n.key, n.usage, n.uscc, leafLife))
	if err != nil {
		return err
	}
	if err := n.made.saveCertificate(n.name, n.cert); err != nil {
		return err
	}
	maker, makerKey := n.cert, n.key
	if n.usage != pki.UsageSealMaker && len(n.seals) > 0 {
		if maker, makerKey, err = n.keys.pair("maker"); err != nil {
			return err
		}
	}
	for i, s := range n.seals {
		if err := n.reseal(n.files[i], s, maker, makerKey); err != nil {
			return fmt.Errorf("making the seal of %s again: %w", s.Name, err)
		}
	}
	return nil
}

// reseal makes a seal like the present one, picture and identifier included: the
// register takes it for the same seal made anew, and one that is suspended stays so.
// The new signer takes the old one's place in its list.
func (n *newKey) reseal(file string, old *seal.Seal, maker *pki.Certificate, key crypto.Signer) error {
	signers, err := n.signers(old)
	if err != nil {
		return err
	}
	made, err := seal.Make(rand.Reader, maker, key, seal.Template{
		Version: old.Version, Extensions: old.Extensions,
		ID: old.ID, Vendor: old.Vendor, Type: old.Type, Name: old.Name,
		Signers: signers, CreatedAt: n.made.now, ValidFrom: n.cert.NotBefore, ValidTo: signers[0].NotAfter, Picture: old.Picture,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(n.made.path(file+sealSuffix), made.Raw, 0o644)
}

// signers are those of a seal, with the new certificate for the old.
func (n *newKey) signers(s *seal.Seal) (signers []*pki.Certificate, err error) {
	for _, listed := range s.CertList {
		cert, err := pki.ParseCertificate(listed.Value)
		if err != nil {
			return nil, err
		}
		if cert.Equal(n.old) {
			cert = n.cert
		}
		signers = append(signers, cert)
	}
	if len(signers) == 0 {
		return nil, errors.New("it lists nobody")
	}
	return signers, nil
}
