package api

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"elicence/audit"
)

// checkpoint answers with the newest signed note of the access log, as it is.
func (x *exchange) checkpoint() (func(), audit.Receipt, error) {
	if _, err := x.numbers(); err != nil {
		return nil, audit.Receipt{}, err
	}
	note, receipt, err := x.cfg.AccessLog.Checkpoint(x.r.Context(), x.caller)
	return func() { x.bytes("text/plain; charset=utf-8", note) }, receipt, err
}

// inclusionJSON proves that an entry is in the log of a size, consistencyJSON
// that one log is the beginning of another. Hashes are lower-case hex, in the
// order of RFC 6962.
type (
	inclusionJSON struct {
		Index  uint64   `json:"index"`
		Size   uint64   `json:"size"`
		Hashes []string `json:"hashes"`
	}
	consistencyJSON struct {
		From   uint64   `json:"from"`
		To     uint64   `json:"to"`
		Hashes []string `json:"hashes"`
	}
)

// proof answers with an inclusion proof (index, size) or a consistency proof (from, to).
func (x *exchange) proof() (func(), audit.Receipt, error) {
	if x.r.URL.Query().Has("index") {
		n, err := x.numbers("index", "size")
		if err != nil {
			return nil, audit.Receipt{}, err
		}
		hashes, receipt, err := x.cfg.AccessLog.InclusionProof(x.r.Context(), x.caller, n[0], n[1])
		return func() { x.json(http.StatusOK, inclusionJSON{n[0], n[1], hexAll(hashes)}) }, receipt, err
	}
	n, err := x.numbers("from", "to")
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	hashes, receipt, err := x.cfg.AccessLog.ConsistencyProof(x.r.Context(), x.caller, n[0], n[1])
	return func() { x.json(http.StatusOK, consistencyJSON{n[0], n[1], hexAll(hashes)}) }, receipt, err
}

func hexAll(hashes [][]byte) []string {
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = hex.EncodeToString(h)
	}
	return all
}

// numbers reads query parameters: exactly those named, each once, a decimal number.
func (x *exchange) numbers(names ...string) ([]uint64, error) {
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil || len(q) != len(names) {
		return nil, errBadParameter
	}
	n := make([]uint64, len(names))
	for i, name := range names {
		if len(q[name]) != 1 {
			return nil, errBadParameter
		}
		// 63 bits: what the proofs and every database can count.
		if n[i], err = strconv.ParseUint(q[name][0], 10, 63); err != nil {
			return nil, errBadParameter
		}
	}
	return n, nil
}

// exportTime is how long an export may take.
const exportTime = time.Hour

// export answers with the entries from..to of the log. Once the first byte is
// out, a failure can only cut the answer off, so that nobody takes it for whole.
func (x *exchange) export() (func(), audit.Receipt, error) {
	n, err := x.exportRange()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	x.extend(exportTime)
	receipt, err := x.cfg.AccessLog.Export(x.r.Context(), x.caller, n[0], n[1], func(receipt audit.Receipt) io.Writer {
		x.receipt(receipt)
		return exportWriter{x}
	})
	if err != nil && x.w.Written() {
		x.report(err)
		panic(http.ErrAbortHandler)
	}
	return func() {}, receipt, err
}

// exportRange is the range asked for; without to, the rest of the log.
func (x *exchange) exportRange() ([]uint64, error) {
	if x.r.URL.Query().Has("to") {
		return x.numbers("from", "to")
	}
	if x.r.URL.RawQuery == "" {
		return []uint64{0, 0}, nil
	}
	n, err := x.numbers("from")
	return append(n, 0), err
}

// exportWriter writes the headers of an export with its first bytes, because
// until then the answer may still be a problem.
type exportWriter struct{ x *exchange }

func (w exportWriter) Write(b []byte) (int, error) {
	if !w.x.w.Written() {
		h := w.x.w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="log-export"`)
		w.x.w.WriteHeader(http.StatusOK)
	}
	return w.x.w.Write(b)
}

// logCode is the code of an error of the log about what was asked, or empty.
func logCode(err error) string {
	if errors.Is(err, audit.ErrOutOfRange) || errors.Is(err, audit.ErrNoCheckpoint) {
		return "out_of_range"
	}
	return ""
}
