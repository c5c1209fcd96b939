package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/verify"
)

// output runs a command on the site and returns what it said.
func (s *site) output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("elicenced %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// refuses checks that a command ends with an error that says something.
func (s *site) refuses(t *testing.T, says string, args ...string) {
	t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), says) {
		t.Errorf("elicenced %s: %v: %s; want a refusal that says %q", strings.Join(args, " "), err, out, says)
	}
}

// sealName names the key that seals the first sample.
func sealName(t *testing.T) string {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	return "seal-" + issuerOf(samples[0].asks.TypeCode).Code
}

// issueFile issues the first sample under a key and downloads its file.
func (s *site) issueFile(t *testing.T, r *running, key string) []byte {
	t.Helper()
	issued, err := s.issueOne(t, r, strings.ReplaceAll(key, " ", "-"))
	must(t, err)
	return s.download(t, r, string(issued.Identifier))
}

func (s *site) download(t *testing.T, r *running, id string) []byte {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	file, err := s.as(t, r, clientFor(samples[0])).get(t.Context(), "/licences/"+id+"/file")
	must(t, err)
	return file
}

// wantGenuine verifies a file, and the code on it by itself, as a stranger offline, and
// asks the running service about both.
func (s *site) wantGenuine(t *testing.T, r *running, name string, file []byte) *seal.Signature {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	defer keys.devices.close()
	anchors, err := readAnchors(keys.path(ownAnchors))
	must(t, err)
	signers, err := keys.everCertified("qr")
	must(t, err)
	parsed, err := pdfsig.Read(file)
	must(t, err)
	text, err := licence.NewQRText("https://example.org", parsed.Attachments["qr.cbor"])
	must(t, err)
	v := verify.Verifier{Anchors: anchors, QRSigners: signers}
	for what, report := range map[string]*verify.Report{
		"file": v.VerifyFile(t.Context(), file, time.Now()), "code": v.VerifyQR(t.Context(), text.String(), time.Now())} {
		if report.Indication == verify.TotalFailed || what == "file" && report.Indication != verify.TotalPassed {
			t.Errorf("%s: offline its %s is %s/%s: %+v", name, what, report.Indication, report.SubIndication, report.Checks)
		}
		for _, c := range report.Checks {
			if c.Name == verify.CheckQR && c.Result != verify.ResultPassed {
				t.Errorf("%s: offline the code of its %s: %s", name, what, c.Code)
			}
		}
	}
	s.wantServed(t, r, name, "application/pdf", file)
	question, err := json.Marshal(map[string]string{"qr": text.String()})
	must(t, err)
	s.wantServed(t, r, name, "application/json", question)
	signature, err := seal.ParseSignature(parsed.Signatures[0].Contents)
	must(t, err)
	if !cryptotest.OpenSSLVerifies(t, signature.Certificate.PublicKey, signature.TBSRaw, signature.SignatureValue) {
		t.Errorf("%s: OpenSSL does not verify the seal signature", name)
	}
	return signature
}

// wantServed asks the running service, as anybody may.
func (s *site) wantServed(t *testing.T, r *running, name, contentType string, body []byte) {
	t.Helper()
	var report struct {
		Indication   string `json:"indication"`
		LicenceState string `json:"licence_state"`
	}
	anybody := &apiClient{base: r.baseURL + "/api/v1"}
	err := anybody.send(t.Context(), "POST", "/verifications", contentType, "", body, &report)
	for end := time.Now().Add(time.Minute); err != nil && strings.Contains(err.Error(), "429") && time.Now().Before(end); {
		time.Sleep(time.Second) // anybody may ask only so often
		err = anybody.send(t.Context(), "POST", "/verifications", contentType, "", body, &report)
	}
	must(t, err)
	if report.Indication != "TotalPassed" || report.LicenceState != "valid" {
		t.Errorf("%s: the service says of its %s: %+v", name, contentType, report)
	}
}

// logged counts the entries of the log by action, once an auditor's check passed.
func (s *site) logged(t *testing.T) map[audit.Action]int {
	t.Helper()
	s.verifyLog(t)
	return s.actions(t)
}

// verifyLog exports the whole log, also what witnesses have not cosigned yet, and
// verifies it as an auditor would who trusts the log's key alone.
func (s *site) verifyLog(t testing.TB) audit.Summary {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	policy, err := audit.NewPolicy(strings.Fields(string(text))[1])
	must(t, err)
	logID, db := s.logOf(t)
	defer db.Close()
	head, err := db.Head(t.Context(), logID)
	must(t, err)
	file := filepath.Join(t.TempDir(), "export")
	must(t, exportLog(t.Context(), db, logID, 0, head.Size, file))
	summary, err := verifyFile(policy, file)
	must(t, err)
	return summary
}

// verifyFile verifies an export in a file.
func verifyFile(policy *audit.Policy, file string) (audit.Summary, error) {
	f, err := os.Open(file)
	if err != nil {
		return audit.Summary{}, err
	}
	defer f.Close()
	return audit.VerifyExport(policy, f)
}

// TestKeyInDevice moves a seal's key into a device and issues with it. The device is
// pulled out while the service runs: what was asked for meanwhile is pending, and
// issued once the device is back.
func TestKeyInDevice(t *testing.T) {
	s, d, name := newSite(t, ""), newFakeDevice(t), sealName(t)
	before := s.logged(t)
	s.output(t, "keys", "rotate", name, "--sdf-library", d.library, "--sdf-index", "1", "--sdf-password-file", d.password)
	keys := filepath.Join(s.Dir, "keys")
	if there, err := exists(filepath.Join(keys, name+softwareKey)); err != nil || there {
		t.Errorf("the key file is still there: %v", err)
	}
	d.set(t, "removed")
	s.wantRefusedStart(t, "without the device", "SDR_COMMFAIL")
	d.set(t, "")

	r := s.serve(t)
	signature := s.wantGenuine(t, r, "sealed in the device", s.issueFile(t, r, "in device"))
	ring, err := s.keys("")
	must(t, err)
	cert, key, err := ring.pair(name)
	must(t, err)
	if !pki.SamePublicKey(signature.Certificate, key) || !signature.Certificate.Equal(cert) {
		t.Error("the licence was not sealed by the device's key")
	}
	ring.devices.close()

	d.set(t, "removed")
	if _, err := s.issueOne(t, r, "away"); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), `"unfinished"`) {
		t.Errorf("without the device: %v; want 503 unfinished", err)
	}
	d.set(t, "")
	issued, err := s.issueOne(t, r, "away")
	for end := time.Now().Add(2 * time.Minute); err != nil && time.Now().Before(end); {
		time.Sleep(time.Second) // until the lease of the first attempt ends
		issued, err = s.issueOne(t, r, "away")
	}
	must(t, err)
	s.wantGenuine(t, r, "asked for while the device was away", s.download(t, r, string(issued.Identifier)))
	s.issueFile(t, r, "after")
	r.stop(t)

	after := s.logged(t)
	signed := len(d.Calls(t, d.file, "InternalSign_ECC"))
	if sealings := after["sealing"] - before["sealing"]; signed != 3 || sealings < signed {
		t.Errorf("the device signed %d times, permitted by %d entries; want 3 and no fewer", signed, sealings)
	}
	if n := after["issued"] - before["issued"]; n != 3 {
		t.Errorf("%d licences issued; want 3", n)
	}
	if after[actionRotate] != 1 || after[actionRotated] != 1 {
		t.Errorf("the rotation is logged %d and %d times", after[actionRotate], after[actionRotated])
	}
}

// TestRotation gives every key that can be rotated a new one, beside the running
// service, and some of them twice. It is on PostgreSQL; TestBackup works beside a
// service on SQLite.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, backends["PostgreSQL"](t))
	r := s.serve(t)
	files := map[string][]byte{"before all": s.issueFile(t, r, "before")}
	rotated := []string{sealName(t), "maker", "qr", "tsa", "trust-list", "qr", sealName(t)}
	for i, name := range rotated {
		old, err := keyring{dir: filepath.Join(s.Dir, "keys")}.certificate(name)
		must(t, err)
		if said := s.output(t, "keys", "rotate", name); !strings.Contains(said, "next start") {
			t.Errorf("rotating %s says %q", name, said)
		}
		label := fmt.Sprintf("%d beside %s", i, name)
		files[label] = s.issueFile(t, r, label)
		r.stop(t)
		r = s.serve(t)
		label = fmt.Sprintf("%d after %s", i, name)
		files[label] = s.issueFile(t, r, label)
		s.wantRotated(t, name, old)
	}
	r.stop(t)
	r = s.wantStillSuspended(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s.wantGenuine(t, r, name, files[name])
	}
	r.stop(t)
	if n := s.logged(t); n[actionRotate] != len(rotated)+1 || n[actionRotated] != len(rotated)+1 {
		t.Errorf("%d rotations and one are logged as %d and %d", len(rotated), n[actionRotate], n[actionRotated])
	}
}

// wantStillSuspended rotates the maker while a seal is suspended: that it was made
// again puts it into use no more than a restart does.
func (s *site) wantStillSuspended(t *testing.T) *running {
	t.Helper()
	id := "ELC" + strings.TrimPrefix(sealName(t), "seal-")
	s.output(t, "seal", "suspend", id, "--reason", "test")
	s.output(t, "keys", "rotate", "maker")
	r := s.serve(t)
	if _, err := s.issueOne(t, r, "suspended"); err == nil || !strings.Contains(err.Error(), `"no_seal"`) {
		t.Errorf("a suspended seal that was made again: %v; want no_seal", err)
	}
	r.stop(t)
	s.output(t, "seal", "use", id, "--reason", "test")
	r = s.serve(t)
	s.wantGenuine(t, r, "in use again", s.issueFile(t, r, "in-use-again"))
	return r
}

// wantRotated checks that a name has a new pair, and that the old one is kept, whole.
func (s *site) wantRotated(t *testing.T, name string, old *pki.Certificate) {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	cert, _, err := keys.pair(name)
	must(t, err)
	if cert.Equal(old) || cert.Subject.String() != old.Subject.String() {
		t.Errorf("%s: from %s to %s, changed %t", name, old.Subject, cert.Subject, !cert.Equal(old))
	}
	kept, _, err := keys.pair(fmt.Sprintf("%s/%s-%x", retiredDir, name, pki.KeyID(old)))
	if err != nil || !kept.Equal(old) {
		t.Errorf("%s: the old pair: %v", name, err)
	}
}

// TestRefusedRotations is a table of rotations that change nothing.
func TestRefusedRotations(t *testing.T) {
	s, d, name := newSite(t, ""), newFakeDevice(t), sealName(t)
	before := readTree(t, filepath.Join(s.Dir, "keys"))
	device := func(index, password string) []string {
		return []string{"keys", "rotate", name, "--sdf-library", d.library, "--sdf-index", index, "--sdf-password-file", password}
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	must(t, os.WriteFile(wrong, []byte("wrong"), 0o600))
	s.refuses(t, "seal-CODE", "keys", "rotate", "root")
	s.refuses(t, "seal-CODE", "keys", "rotate", "log")
	s.refuses(t, "seal-CODE", "keys", "rotate", "seal-11330100000000000X")
	s.refuses(t, "seal-CODE", "keys", "rotate", "../keys/qr")
	s.refuses(t, "go with --sdf-library", "keys", "rotate", "qr", "--sdf-index", "1")
	s.refuses(t, "password_env", "keys", "rotate", "qr", "--sdf-library", d.library, "--sdf-index", "1")
	s.refuses(t, "SDR_KEYNOTEXIST", device("9", d.password)...)
	s.refuses(t, "SDR_PRKRERR", device("1", wrong)...)
	s.refuses(t, "index is missing", device("0", d.password)...)
	d.set(t, "removed")
	s.refuses(t, "SDR_COMMFAIL", device("1", d.password)...)
	d.set(t, "off_curve")
	s.refuses(t, "malformed public key", device("1", d.password)...)
	d.set(t, "garbage")
	maker := device("1", d.password)
	maker[2] = "maker" // whose new key signs the seals
	s.refuses(t, "does not verify", maker...)
	d.set(t, "")
	must(t, os.Mkdir(filepath.Join(s.Dir, "keys", stagedDir), 0o700))
	s.refuses(t, "remove that folder", "keys", "rotate", "qr")
	must(t, os.Remove(filepath.Join(s.Dir, "keys", stagedDir)))
	must(t, os.Rename(filepath.Join(s.Dir, "elicence.db"), filepath.Join(s.Dir, "elsewhere.db")))
	s.refuses(t, "access log", "keys", "rotate", "qr") // not without an entry
	must(t, os.Rename(filepath.Join(s.Dir, "elsewhere.db"), filepath.Join(s.Dir, "elicence.db")))
	s.wantNoKeyArchived(t)
	s.wantForeignSealLeft(t)
	if after := readTree(t, filepath.Join(s.Dir, "keys")); !maps.Equal(before, after) {
		t.Errorf("a refused rotation changed the keys: %v, then %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	s.output(t, device("2", d.password)...)
	s.refuses(t, "present one", device("2", d.password)...)
	d.set(t, "removed")
	s.output(t, "keys", "rotate", name) // back into a file, even without the device
	must(t, os.Remove(filepath.Join(s.Dir, "keys", "qr"+softwareKey)))
	s.output(t, "keys", "rotate", "qr") // nor does a lost key stop it
	s.serve(t).stop(t)
}

// wantNoKeyArchived puts what is no key, and another's key, in a key's place: neither is
// archived as the old key.
func (s *site) wantNoKeyArchived(t *testing.T) {
	t.Helper()
	key := filepath.Join(s.Dir, "keys", "qr"+softwareKey)
	good, err := os.ReadFile(key)
	must(t, err)
	others, err := os.ReadFile(filepath.Join(s.Dir, "keys", "tsa"+softwareKey))
	must(t, err)
	for _, spoilt := range []string{"-----BEGIN CERTIFICATE REQUEST-----\n", "", string(others)} {
		must(t, os.WriteFile(key, []byte(spoilt), 0o600))
		s.refuses(t, "the present key does not open", "keys", "rotate", "qr")
	}
	must(t, os.WriteFile(key, good, 0o600))
}

// wantForeignSealLeft has a seal of another maker in the instance: nobody but that
// maker makes it again. A seal that cannot be read stops a new maker.
func (s *site) wantForeignSealLeft(t *testing.T) {
	t.Helper()
	file := filepath.Join(s.Dir, "keys", sealName(t)+sealSuffix)
	own, err := os.ReadFile(file)
	must(t, err)
	foreign := cryptotest.New(t).Seal.Raw
	must(t, os.WriteFile(file, foreign, 0o600))
	s.refuses(t, "not made by this instance", "keys", "rotate", sealName(t))
	n := &newKey{name: "maker", usage: pki.UsageSealMaker, keys: keyring{dir: filepath.Join(s.Dir, "keys")}}
	set, err := s.settings()
	must(t, err)
	if err := n.findSeals(set); err != nil || len(n.seals) != len(set.Authorities) { // one is foreign, that of copies is one more
		t.Errorf("a new maker makes %d of %d seals again: %v", len(n.seals), len(set.Authorities)+1, err)
	}
	must(t, os.WriteFile(file, foreign[1:], 0o600))
	s.refuses(t, "malformed SESeal", "keys", "rotate", "maker")
	must(t, os.WriteFile(file, own, 0o644))
}

// readTree is the content of every file below a folder.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(text)
		return err
	}))
	return files
}

// copyTree copies a folder, for its owner alone.
func copyTree(t *testing.T, to, from string) {
	t.Helper()
	for name, content := range readTree(t, from) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(to, name), []byte(content), 0o600))
	}
}
