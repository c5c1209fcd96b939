package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// TestRotationCrash cuts a rotation of the maker, which replaces the most files, after
// every step: the old set or the new one is found whole.
func TestRotationCrash(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	set, err := s.settings()
	must(t, err)
	keys, err := s.keys("")
	must(t, err)
	old, err := keys.certificate("maker")
	must(t, err)
	staged, err := keys.stage()
	must(t, err)
	r := &rotateCmd{location: s.location, Name: "maker"}
	n, err := r.newKey(keys, staged, set)
	must(t, err)
	s.wantWhole(t, "staged half", s.location, old)
	must(t, n.make())
	s.wantWhole(t, "staged", s.location, old)
	must(t, os.Rename(staged.dir, keys.path(committedDir)))

	moves := movesOf(t, keys.path(committedDir))
	if len(moves) != 3+2+2*(len(set.Authorities)+1) { // old: certificate, key, seals, that of copies among them; new: the same and a removal
		t.Errorf("%d steps: %v", len(moves), moves)
	}
	for cut := range len(moves) + 1 {
		l := location{Dir: t.TempDir()}
		copyTree(t, l.Dir, s.Dir)
		ring := keyring{dir: filepath.Join(l.Dir, "keys")}
		must(t, os.MkdirAll(ring.path(retiredDir), 0o700))
		for _, name := range moves[:cut] {
			err := os.Rename(ring.path(committedDir+"/"+name), ring.path(name))
			if strings.HasSuffix(name, dropSuffix) {
				err = os.Remove(ring.path(name))
			}
			must(t, err)
		}
		s.wantWhole(t, fmt.Sprintf("cut after %d moves", cut), l, n.cert)
	}
}

// movesOf lists what finishRotation moves, in its order.
func movesOf(t *testing.T, committed string) (moves []string) {
	t.Helper()
	for _, dir := range []string{retiredDir, "."} {
		entries, err := os.ReadDir(filepath.Join(committed, dir))
		must(t, err)
		for _, e := range entries {
			if !e.IsDir() {
				moves = append(moves, filepath.Join(dir, e.Name()))
			}
		}
	}
	return moves
}

// wantWhole reads the keys as serve would, and checks that the maker's certificate is
// the one wanted and made every seal.
func (s *site) wantWhole(t *testing.T, name string, l location, want *pki.Certificate) {
	t.Helper()
	keys, err := l.keys("")
	must(t, err)
	set, err := l.settings()
	must(t, err)
	maker, _, err := keys.pair("maker")
	if err != nil || !maker.Equal(want) {
		t.Errorf("%s: the maker is another, or none: %v", name, err)
	}
	for _, a := range set.Authorities {
		der, err := os.ReadFile(keys.path("seal-" + a.Code + ".esl"))
		must(t, err)
		made, err := seal.ParseSeal(der)
		must(t, err)
		signer, _, err := keys.pair("seal-" + a.Code)
		must(t, err)
		if !made.Maker.Equal(want) || !made.Lists(signer) || made.CheckSignature() != nil {
			t.Errorf("%s: the seal of %s is of another set", name, a.Name)
		}
	}
	if there, err := exists(keys.path(committedDir)); err != nil || there {
		t.Errorf("%s: the rotation is not finished: %v", name, err)
	}
}
