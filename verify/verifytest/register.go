package verifytest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"elicence/licence"
	"elicence/verify"
)

// Register is a register of one licence, or of none: its zero value is empty.
type Register struct {
	Entry verify.RegisterEntry
	// Files are the SM3 digests of the licence's files, current and earlier.
	Files [][32]byte
	// Unavailable says that it answers no question.
	Unavailable bool
}

var _ verify.Register = (*Register)(nil)

// ByFileDigest looks a file up.
func (r *Register) ByFileDigest(_ context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	return r.answer(slices.Contains(r.Files, digest))
}

// ByIdentifier looks a licence up.
func (r *Register) ByIdentifier(_ context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	return r.answer(id != "" && id == r.Entry.Identifier)
}

// ByCopy looks an annotated copy up.
func (r *Register) ByCopy(_ context.Context, id licence.CopyID) (verify.RegisterEntry, error) {
	return r.answer(r.Entry.Copy != nil && id == r.Entry.Copy.ID)
}

func (r *Register) answer(found bool) (verify.RegisterEntry, error) {
	switch {
	case r.Unavailable:
		return verify.RegisterEntry{}, errors.New("connection refused")
	case !found:
		return verify.RegisterEntry{}, licence.ErrNotFound
	}
	return r.Entry, nil
}

// registerJSON is a register on disk.
type registerJSON struct {
	Unavailable bool               `json:"unavailable,omitempty"`
	Identifier  licence.Identifier `json:"identifier"`
	Status      licence.Status     `json:"status"`
	DataDigest  string             `json:"data_digest"`
	RangeDigest string             `json:"range_digest"`
	ProvenAt    time.Time          `json:"proven_at,omitzero"`
	Timestamped bool               `json:"timestamped"`
	FileDigests []string           `json:"file_digests"`
}

func (r *Register) marshal() ([]byte, error) {
	e := r.Entry
	j := registerJSON{Unavailable: r.Unavailable, Identifier: e.Identifier, Status: e.Status, ProvenAt: e.ProvenAt, Timestamped: e.Timestamped,
		DataDigest: hex.EncodeToString(e.DataDigest[:]), RangeDigest: hex.EncodeToString(e.RangeDigest[:]), FileDigests: []string{}}
	for _, d := range r.Files {
		j.FileDigests = append(j.FileDigests, hex.EncodeToString(d[:]))
	}
	text, err := json.MarshalIndent(j, "", "  ")
	return append(text, '\n'), err
}

func parseRegister(text []byte) (*Register, error) {
	var j registerJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, err
	}
	r := &Register{Unavailable: j.Unavailable, Files: make([][32]byte, len(j.FileDigests)),
		Entry: verify.RegisterEntry{Identifier: j.Identifier, Status: j.Status, ProvenAt: j.ProvenAt, Timestamped: j.Timestamped}}
	err := errors.Join(unhex(&r.Entry.DataDigest, j.DataDigest), unhex(&r.Entry.RangeDigest, j.RangeDigest))
	for i, digits := range j.FileDigests {
		err = errors.Join(err, unhex(&r.Files[i], digits))
	}
	return r, err
}

func unhex(digest *[32]byte, digits string) error {
	if len(digits) != 2*len(digest) {
		return errors.New("a digest is not 64 digits")
	}
	_, err := hex.Decode(digest[:], []byte(digits))
	return err
}
