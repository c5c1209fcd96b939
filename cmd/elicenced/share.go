package main

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"elicence/internal/private"

	"github.com/emmansun/gmsm/sm3"
)

// A backup's secret is split into shares that are all needed: all but one are random,
// and the last makes them the secret under XOR, so that fewer say nothing of it. A
// share is one line of five words, made to be written on paper and typed again:
//
//	elicence-share-1 <backup id> <number>/<of> <value> <check>
//	elicence-share-1 8f3a12cd90ab4412 2/3 MFRG-GZDF-MZTW-Q2LK-NNWG-23TP-OA 9c1f22ab
//
// The value is 16 bytes in base32, the check the first four bytes of SM3 over the
// words before it, joined by one space.
const (
	shareFormat = "elicence-share-1"
	shareSize   = 16 // bytes, the key of SM4
	minShares   = 2
	maxShares   = 16
	maxShare    = 1 << 10 // bytes of a share's file
)

// share is one of the shares of a secret.
type share struct {
	backup     [8]byte // which backup it is of
	number, of int
	value      [shareSize]byte
}

// splitSecret draws a secret and its shares.
func splitSecret(backup [8]byte, n int) (secret [shareSize]byte, shares []share, err error) {
	if n < minShares || n > maxShares {
		return secret, nil, fmt.Errorf("%w: %d shares; %d to %d are possible", errUsage, n, minShares, maxShares)
	}
	rand.Read(secret[:])
	last := secret
	for i := range n {
		s := share{backup: backup, number: i + 1, of: n}
		if s.value = last; i < n-1 {
			rand.Read(s.value[:])
			last = xor(last, s.value)
		}
		shares = append(shares, s)
	}
	return secret, shares, nil
}

func xor(a, b [shareSize]byte) [shareSize]byte {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// String is the line of a share.
func (s share) String() string {
	value := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(s.value[:])
	var groups []string
	for ; len(value) > 4; value = value[4:] {
		groups = append(groups, value[:4])
	}
	line := fmt.Sprintf("%s %x %d/%d %s", shareFormat, s.backup, s.number, s.of, strings.Join(append(groups, value), "-"))
	check := sm3.Sum([]byte(line))
	return fmt.Sprintf("%s %x", line, check[:4])
}

// readShare reads a share from a file that nobody else can read.
func readShare(file string) (share, error) {
	st, err := os.Stat(file)
	if err != nil {
		return share{}, err
	}
	if st.Mode().IsRegular() && st.Size() > maxShare {
		return share{}, fmt.Errorf("share %s: over 1 KiB", file)
	}
	text, err := private.ReadFile(file)
	if err != nil {
		return share{}, err
	}
	s, err := parseShare(string(text))
	if err != nil {
		return share{}, fmt.Errorf("share %s: %w", file, err)
	}
	return s, nil
}

// parseShare reads the line of a share, in any case and spacing. What was mistyped is
// found by the check, and not by the backup that does not open.
func parseShare(text string) (s share, err error) {
	words := strings.Fields(text)
	if len(words) != 5 || !strings.EqualFold(words[0], shareFormat) {
		return s, fmt.Errorf("not one line %q with five words", shareFormat+" …")
	}
	id, errID := hex.DecodeString(words[1])
	value, errValue := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(strings.ToUpper(words[3]), "-", ""))
	_, errOf := fmt.Sscanf(words[2], "%d/%d", &s.number, &s.of)
	if errors.Join(errID, errValue, errOf) != nil || len(id) != len(s.backup) || len(value) != shareSize {
		return share{}, errors.New("mistyped: a word has another form")
	}
	s.backup, s.value = [8]byte(id), [shareSize]byte(value)
	plain := func(line string) string { return strings.ReplaceAll(line, "-", "") } // groups do not matter
	if !strings.EqualFold(plain(strings.Join(words, " ")), plain(s.String())) {
		return share{}, errors.New("mistyped: the check at its end is of another line")
	}
	if s.of < minShares || s.of > maxShares || s.number < 1 || s.number > s.of {
		return share{}, fmt.Errorf("number %d of %d is not possible", s.number, s.of)
	}
	return s, nil
}

// joinShares gives the secret of a backup, once all its shares are there.
func joinShares(backup [8]byte, of int, shares []share) (secret [shareSize]byte, err error) {
	have := make([]bool, of+1)
	for _, s := range shares {
		switch {
		case s.backup != backup || s.of != of:
			return secret, fmt.Errorf("share %d of %d belongs to the backup %x; this is %x with %d shares", s.number, s.of, s.backup, backup, of)
		case have[s.number]:
			return secret, fmt.Errorf("share %d was given twice", s.number)
		}
		have[s.number] = true
	}
	var missing []string
	for number := 1; number <= of; number++ {
		if !have[number] {
			missing = append(missing, fmt.Sprint(number))
		}
	}
	if missing != nil {
		return secret, fmt.Errorf("missing of the %d shares: %s", of, strings.Join(missing, ", "))
	}
	for _, s := range shares {
		secret = xor(secret, s.value)
	}
	return secret, nil
}

// readAtMost reads a file of at most so many bytes.
func readAtMost(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: over %d bytes", file, most)
	}
	return b, err
}
