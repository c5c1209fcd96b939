package api

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry/statistics"
)

// countJSON is one row of statistics.
type countJSON struct {
	Measure  string `json:"measure"`
	TypeCode string `json:"type_code"`
	Division string `json:"division"`
	// Origin is "external" of what other platforms issued; else empty.
	Origin string `json:"origin"`
	// Month is YYYY-MM; empty for what is counted as it is now.
	Month string `json:"month"`
	Count int64  `json:"count"`
}

// statisticsAnswer are counts, and what was counted.
type statisticsAnswer struct {
	From licence.Date `json:"from"`
	To   licence.Date `json:"to"`
	// AsOf is the day whose state is counted, ExpiringUntil the last that counts as soon.
	AsOf          licence.Date `json:"as_of"`
	ExpiringUntil licence.Date `json:"expiring_until"`
	Counts        []countJSON  `json:"counts"`
}

// statistics counts licences, as JSON or, when the request accepts text/csv, as CSV.
func (x *exchange) statistics() (func(), audit.Receipt, error) {
	q, err := x.statisticsQuery()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	use, err := x.use()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	counts, asked, receipt, err := x.cfg.Statistics.Count(x.r.Context(), x.caller, q, use)
	a := statisticsAnswer{From: asked.From, To: asked.To, AsOf: asked.Today, ExpiringUntil: asked.Soon, Counts: make([]countJSON, len(counts))}
	for i, c := range counts {
		a.Counts[i] = countJSON(c)
	}
	if strings.Contains(x.r.Header.Get("Accept"), "text/csv") {
		return func() { x.bytes("text/csv; charset=utf-8", a.csv()) }, receipt, err
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// csv are the counts as RFC 4180 has them, under the names of the JSON members.
func (a statisticsAnswer) csv() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	_ = w.Write([]string{"measure", "type_code", "division", "month", "count", "origin"}) // a buffer takes all
	for _, c := range a.Counts {
		_ = w.Write([]string{c.Measure, c.TypeCode, c.Division, c.Month, strconv.FormatInt(c.Count, 10), c.Origin})
	}
	w.Flush()
	return b.Bytes()
}

// statisticsQuery reads the query parameters, each at most once.
func (x *exchange) statisticsQuery() (q statistics.Query, err error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return q, errBadParameter
	}
	for name, value := range values {
		switch {
		case len(value) != 1 || value[0] == "" || len(value[0]) > maxType:
			err = errBadParameter
		case name == "type_code":
			q.Types = value
		case name == "from":
			q.From, err = licence.ParseDate(value[0])
		case name == "to":
			q.To, err = licence.ParseDate(value[0])
		case name == "expiring_days":
			if q.ExpiringDays, err = strconv.Atoi(value[0]); q.ExpiringDays == 0 {
				err = errBadParameter
			}
		default:
			err = errBadParameter
		}
		if err != nil {
			return q, errBadParameter
		}
	}
	return q, nil
}
