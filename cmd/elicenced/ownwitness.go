package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
	"elicence/internal/durable"
	"elicence/internal/private"
)

// What an instance's own witness is called, in its policy and in its signatures.
const (
	ownWitnessName = "demo"
	ownWitnessKey  = "elicence/demo-witness"
)

func (l location) witnessDir() string { return filepath.Join(l.Dir, "witness") }

// makeWitness gives an instance a witness of its own, unless it has one.
func (l location) makeWitness() error {
	there, err := exists(filepath.Join(l.witnessDir(), witness.KeyFile))
	if err != nil || there {
		return err
	}
	if err := os.MkdirAll(l.witnessDir(), 0o700); err != nil {
		return err
	}
	passphrase, err := private.EnsurePassphrase(witness.PassphraseVariable, l.witnessPassphrase())
	if err != nil {
		return err
	}
	_, err = witness.Create(l.witnessDir(), ownWitnessKey, passphrase)
	return err
}

func (l location) witnessPassphrase() string { return filepath.Join(l.witnessDir(), "passphrase") }

// startWitness runs the instance's own witness, when there is one and the flags name
// no others: the code of elicence-witness in this process, with a key, a folder and a
// listener of its own, so that a demo needs nothing else built or started. It shows
// how the parts work together; what the same hands hold proves little to others.
func (s *serveCmd) startWitness() (stop func(), err error) {
	stop = func() {}
	there, err := exists(filepath.Join(s.witnessDir(), witness.KeyFile))
	if err != nil || !there || s.LogPolicy != "" || len(s.Witness) > 0 {
		return stop, err
	}
	passphrase, err := private.Passphrase(witness.PassphraseVariable, s.witnessPassphrase())
	if err != nil {
		return stop, err
	}
	folder, err := witness.OpenFolder(s.witnessDir(), passphrase)
	if errors.Is(err, witness.ErrInUse) {
		slog.Warn("another process runs the instance's own witness, and submits to it")
		return stop, nil
	}
	if err != nil {
		return stop, err
	}
	server, address, err := s.serveWitness(folder)
	if err != nil {
		return stop, errors.Join(err, folder.Close())
	}
	s.Witness = map[string]string{ownWitnessName: address}
	return func() { server.Close(); folder.Close() }, nil
}

// serveWitness opens the witness in a folder for the instance's log, makes the flags
// trust it, and serves it.
func (s *serveCmd) serveWitness(folder *witness.Folder) (*http.Server, string, error) {
	logKeys, err := s.logKeys()
	if err != nil {
		return nil, "", err
	}
	policy, err := audit.NewPolicy(logKeys...)
	if err != nil {
		return nil, "", err
	}
	w, err := witness.Open(witness.Config{
		Signer: folder.Signer, Policy: policy, Store: folder, Now: time.Now, Rand: rand.Reader,
		Failed: func(err error) { slog.Error("the instance's own witness failed", "fault", err) },
	})
	if err != nil {
		return nil, "", err
	}
	if err := s.trustWitness(policy, folder); err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	server := w.HTTPServer()
	go server.Serve(listener) // ends with Close
	return server, "http://" + listener.Addr().String(), nil
}

// trustWitness writes the policy of the log, with the witness.
func (s *serveCmd) trustWitness(policy *audit.Policy, folder *witness.Folder) error {
	key, err := folder.Signer.WitnessKey()
	if err != nil {
		return err
	}
	latest, err := folder.Latest(policy.Origins()[0])
	if err != nil {
		return err
	}
	if policy, err = policy.WithWitness(ownWitnessName, key, 1); err != nil {
		return err
	}
	s.NewWitnesses = s.NewWitnesses || latest == nil
	s.LogPolicy = filepath.Join(s.Dir, "log-policy.txt")
	return durable.Replace(s.LogPolicy, policy.Marshal())
}

// logKeys are the verifier keys of the instance's access log, and of those before it.
func (s *serveCmd) logKeys() ([]string, error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(s.PassphraseFile)
	if err != nil {
		return nil, err
	}
	defer keys.devices.close()
	key, err := keys.key("log")
	if err != nil {
		return nil, err
	}
	vkey, err := audit.Signer{Name: settings.LogID, Key: key}.VerifierKey()
	return append([]string{vkey}, settings.Succeeded...), err
}
