package api

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"elicence/audit"
)

// The headers that carry the receipt of the access log.
const (
	// headerIndex is the decimal index of the entry.
	headerIndex = "Elicence-Log-Index"
	// headerLeaf is the leaf hash of the entry in lower-case hex.
	headerLeaf = "Elicence-Log-Leaf"
	// headerCheckpoint is the signed note of the batch that holds it, in standard base64.
	headerCheckpoint = "Elicence-Log-Checkpoint"
)

// receipt puts the receipt of the log into the answer's header. A zero receipt,
// of an access that the log could not record, is left out.
func (x *exchange) receipt(r audit.Receipt) {
	if len(r.Checkpoint) == 0 {
		return
	}
	h := x.w.Header()
	h.Set(headerIndex, strconv.FormatUint(r.Index, 10))
	h.Set(headerLeaf, hex.EncodeToString(r.LeafHash[:]))
	h.Set(headerCheckpoint, base64.StdEncoding.EncodeToString(r.Checkpoint))
	x.metrics.logged(r.Index)
}
