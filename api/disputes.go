package api

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/licence/registry/disputes"

	"github.com/emmansun/gmsm/sm3"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// disputeJSON is a dispute. In a list, only the holder's own have what the holder wrote, what
// it is about, and what was answered.
type disputeJSON struct {
	ID            string             `json:"id"`
	Kind          dispute.Kind       `json:"kind"`
	State         dispute.State      `json:"state"`
	TypeCode      string             `json:"type_code"`
	Licence       licence.Identifier `json:"licence,omitempty"`
	Entry         *uint64            `json:"entry,omitempty"`
	Holder        *holderJSON        `json:"holder,omitempty"`
	AuthorityCode string             `json:"authority_code"`
	AuthorityName string             `json:"authority_name"`
	Field         string             `json:"field,omitempty"`
	ShouldBe      string             `json:"should_be,omitempty"`
	Text          string             `json:"text,omitempty"`
	RaisedAt      time.Time          `json:"raised_at"`
	Due           time.Time          `json:"due"`
	Overdue       bool               `json:"overdue"`
	DecidedBy     string             `json:"decided_by"`
	DecidedAt     *time.Time         `json:"decided_at,omitempty"`
	DeciderActed  bool               `json:"decider_acted"`
	Reason        string             `json:"reason,omitempty"`
	ClosedBy      string             `json:"closed_by"`
	ClosedAt      *time.Time         `json:"closed_at,omitempty"`
	Version       licence.Identifier `json:"version,omitempty"`
	Remedy        string             `json:"remedy,omitempty"`
	// TypeName and FieldLabel are what people call the type and the field, on pages alone.
	TypeName   string `json:"-"`
	FieldLabel string `json:"-"`
}

// holderJSON names a holder.
type holderJSON struct {
	Code     string                 `json:"code"`
	CodeType licence.HolderCodeType `json:"code_type"`
}

func newDispute(d dispute.Dispute, now time.Time) disputeJSON {
	j := disputeJSON{
		ID: d.ID, Kind: d.Kind, State: d.State, TypeCode: d.TypeCode, Licence: d.Licence, AuthorityCode: d.Authority.Code, AuthorityName: d.Authority.Name,
		Field: d.Statement.Field, ShouldBe: d.Statement.ShouldBe, Text: d.Statement.Text, RaisedAt: d.RaisedAt.UTC(), Due: d.Due.UTC(), Overdue: d.Overdue(now),
		DecidedBy: d.DecidedBy, DecidedAt: givenInstant(d.DecidedAt), DeciderActed: d.Acted, Reason: d.Reason,
		ClosedBy: d.ClosedBy, ClosedAt: givenInstant(d.ClosedAt), Version: d.Version, Remedy: d.Remedy,
	}
	if d.Holder.Code != "" {
		j.Holder = &holderJSON{d.Holder.Code, d.Holder.CodeType}
		if d.Kind == dispute.UnknownUse {
			j.Entry = &d.Entry
		}
	}
	return j
}

// disputesAnswer is one page of disputes.
type disputesAnswer struct {
	Disputes []disputeJSON `json:"disputes"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// disputeRoutes are those of disputes.
func (s *Server) disputeRoutes(d *gin.RouterGroup) {
	d.POST("", serveJSON(s, registry.ActionDisputeRaise, http.StatusCreated, parseDispute, (*exchange).raiseDispute))
	d.GET("", serveGet(s, registry.ActionDisputeRead, (*exchange).disputes))
	d.GET("/:dispute", serveGet(s, registry.ActionDisputeRead, (*exchange).dispute))
	for action, do := range map[audit.Action]func(context.Context, registry.Caller, string, registry.StatusRequest) (disputes.Answer, audit.Receipt, error){
		registry.ActionDisputeWithdraw: s.cfg.Disputes.Withdraw, registry.ActionDisputeAccept: s.cfg.Disputes.Accept, registry.ActionDisputeReject: s.cfg.Disputes.Reject,
	} {
		_, step, _ := strings.Cut(string(action), "_")
		d.POST("/:dispute/"+step, serveDecision(s, action, do, func(state disputes.Answer) disputes.Answer { return state }))
	}
	d.POST("/:dispute/close", serveJSON(s, registry.ActionDisputeClose, http.StatusOK, parseClosing, (*exchange).closeDispute))
}

// parseDispute reads a body of POST /disputes: what a dispute is about depends on its kind.
func parseDispute(body []byte) (disputes.Request, error) {
	return parseJSON(body, func(r *reader) disputes.Request {
		d := dispute.Dispute{Kind: dispute.Kind(r.required("kind", 32)), Statement: dispute.Statement{Text: r.text("text", maxText)}}
		switch d.Kind {
		case dispute.MissingLicence:
			d.TypeCode, d.Authority.Code = r.required("type_code", maxType), r.required("authority_code", maxCode)
		case dispute.UnknownUse:
			d.Entry = uint64(r.integer("entry", 1, 1<<53))
		case dispute.WrongData:
			d.Statement.Field, d.Statement.ShouldBe = r.required("field", maxText), r.required("should_be", maxText)
			d.Licence = licence.Identifier(r.required("licence", 160))
		default:
			d.Licence = licence.Identifier(r.required("licence", 160))
		}
		return disputes.Request{Body: sm3.Sum(append([]byte("disputes\n"), body...)), Dispute: d}
	})
}

// raiseDispute raises one.
func (x *exchange) raiseDispute(q disputes.Request) (state disputes.Answer, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return state, receipt, err
	}
	state, receipt, err = x.cfg.Disputes.Raise(x.r.Context(), x.caller, q)
	if err == nil {
		x.w.Header().Set("Location", "/api/v1/disputes/"+state.ID)
	}
	return state, receipt, err
}

// disputeCursor is where a page of disputes ends: a deadline and an identifier.
var disputeCursor = regexp.MustCompile(`^[0-9TZ:.-]{20,30}/[0-9a-f]{28}$`)

// disputes lists disputes.
func (x *exchange) disputes() (func(), audit.Receipt, error) {
	q, err := x.disputeQuery()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	use, err := x.use()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	found, receipt, err := x.cfg.Disputes.List(x.r.Context(), x.caller, q, use)
	return func() { x.json(http.StatusOK, x.disputesAnswer(found, q.Limit)) }, receipt, err
}

// disputeQuery reads the query parameters of a list of disputes.
func (x *exchange) disputeQuery() (q registry.DisputeQuery, err error) {
	q.Limit = defaultPage
	after := ""
	err = x.listQuery(disputeCursor, &after, &q.Limit, func(name, value string) bool {
		switch name {
		case "state":
			q.State = dispute.State(value)
			return len(value) <= 16
		case "kind":
			q.Kind = dispute.Kind(value)
			return len(value) <= 16
		case "overdue":
			if value == "true" {
				q.OverdueAt = x.now()
			}
			return value == "true" || value == "false"
		}
		return false
	})
	if due, id, found := strings.Cut(after, "/"); err == nil && found {
		if q.AfterDue, err = time.Parse(time.RFC3339Nano, due); err != nil {
			return q, errBadParameter
		}
		q.AfterID = id
	}
	return q, err
}

func (x *exchange) disputesAnswer(found []dispute.Dispute, limit int) disputesAnswer {
	a := disputesAnswer{Disputes: make([]disputeJSON, 0, len(found))}
	for _, d := range found {
		a.Disputes = append(a.Disputes, newDispute(d, x.now()))
	}
	if len(found) == limit {
		last := found[len(found)-1]
		a.NextCursor = strictBase64.EncodeToString([]byte(last.Due.UTC().Format(time.RFC3339Nano) + "/" + last.ID))
	}
	return a
}

// dispute reads one whole.
func (x *exchange) dispute() (func(), audit.Receipt, error) {
	if !nameForm.MatchString(x.name) {
		return nil, audit.Receipt{}, errNoIdentifier
	}
	use, err := x.use()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	d, receipt, err := x.cfg.Disputes.Get(x.r.Context(), x.caller, x.name, use)
	return func() { x.json(http.StatusOK, newDispute(d, x.now())) }, receipt, err
}

// parseClosing reads a body that says what was done.
func parseClosing(body []byte) (disputes.CloseRequest, error) {
	return parseJSON(body, func(r *reader) disputes.CloseRequest {
		return disputes.CloseRequest{
			StatusRequest: registry.StatusRequest{Body: sm3.Sum(body), Reason: r.text("reason", maxText), Operator: r.text("operator", maxText)},
			Version:       licence.Identifier(r.text("version", 160)),
		}
	})
}

// closeDispute settles what was accepted.
func (x *exchange) closeDispute(q disputes.CloseRequest) (state disputes.Answer, receipt audit.Receipt, err error) {
	if err := x.decision(nameForm, &q.StatusRequest); err != nil {
		return state, receipt, err
	}
	return x.cfg.Disputes.Close(x.r.Context(), x.caller, x.name, q)
}

// disputeGauge shows how many disputes are late when metrics are asked for.
type disputeGauge struct {
	overdue func(context.Context) (map[dispute.Kind]int, error)
}

var overdueDisputes = prometheus.NewDesc("elicence_disputes_overdue", "Disputes whose answer or remedy is late, by kind.", []string{"kind"}, nil)

// Describe implements prometheus.Collector.
func (g disputeGauge) Describe(ch chan<- *prometheus.Desc) { ch <- overdueDisputes }

// Collect implements prometheus.Collector. Every kind has a value, as every alarm of a brake has.
func (g disputeGauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricTime)
	defer cancel()
	counts, err := g.overdue(ctx)
	if err != nil {
		return
	}
	for _, kind := range dispute.Kinds {
		ch <- prometheus.MustNewConstMetric(overdueDisputes, prometheus.GaugeValue, float64(counts[kind]), string(kind))
	}
}
