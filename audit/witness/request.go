package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"

	"elicence/audit"
)

const (
	maxHashes  = 63
	hashLine   = 45 // bytes of a line with a hash in base64
	maxOldLine = len("old 9223372036854775807\n")
	// maxRequest is the largest body of add-checkpoint.
	maxRequest = int64(maxOldLine+maxHashes*hashLine+1) + audit.MaxNote
)

// request is the body of add-checkpoint: a line "old <size>", a line for each hash of
// the consistency proof in base64, an empty line, and the checkpoint.
type request struct {
	old    uint64
	proof  [][]byte
	signed []byte // a signed note
}

func (q request) marshal() []byte {
	b := strconv.AppendUint([]byte("old "), q.old, 10)
	b = append(b, '\n')
	for _, h := range q.proof {
		b = base64.StdEncoding.AppendEncode(b, h)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, q.signed...)
}

var errMalformed = errors.New("malformed request: not old size, hashes, an empty line and a checkpoint")

// parseRequest takes a body apart; only what marshal would write parses. The
// checkpoint is left to the policy.
func parseRequest(b []byte) (request, error) {
	head, signed, found := bytes.Cut(b, []byte("\n\n"))
	lines := bytes.Split(head, []byte("\n"))
	size, ok := bytes.CutPrefix(lines[0], []byte("old "))
	if !found || !ok || len(lines)-1 > maxHashes {
		return request{}, errMalformed
	}
	q := request{signed: signed}
	var err error
	if q.old, err = strconv.ParseUint(string(size), 10, 63); err != nil {
		return request{}, errMalformed
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(hash) != 32 {
			return request{}, errMalformed
		}
		q.proof = append(q.proof, hash)
	}
	if !bytes.Equal(q.marshal(), b) {
		return request{}, errMalformed
	}
	return q, nil
}
