package api

import (
	"cmp"
	"net/http"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// consentJSON is a holder's consent.
type consentJSON struct {
	ID       string               `json:"id"`
	Kind     consent.Kind         `json:"kind"`
	Licences []licence.Identifier `json:"licences"`
	Fields   []string             `json:"fields"`
	Purpose  string               `json:"purpose"`
	// Receiver is empty where any department, or anybody, may use it.
	Receiver string `json:"receiver"`
	// ReceiverName is empty where it is not known.
	ReceiverName string         `json:"receiver_name"`
	Uses         int            `json:"uses"`
	Used         int            `json:"used"`
	Status       consent.Status `json:"status"`
	MadeAt       time.Time      `json:"made_at"`
	EndsAt       time.Time      `json:"ends_at"`
	RevokedAt    *time.Time     `json:"revoked_at,omitempty"`
}

func (s *Server) newConsent(k consent.Consent) consentJSON {
	return consentJSON{
		ID: k.ID, Kind: k.Kind, Licences: k.Licences, Fields: k.Fields, Purpose: k.Purpose, Receiver: k.Receiver, ReceiverName: k.ReceiverName, Uses: k.Uses, Used: k.Used,
		Status: k.StatusAt(s.cfg.Now()), MadeAt: k.MadeAt.UTC(), EndsAt: k.EndsAt.UTC(), RevokedAt: givenInstant(k.RevokedAt),
	}
}

// parseConsent reads a body of POST /consents.
func parseConsent(body []byte) (registry.ConsentRequest, error) {
	return parseJSON(body, func(r *reader) registry.ConsentRequest {
		q := registry.ConsentRequest{Body: sm3.Sum(append([]byte("consents\n"), body...)), Consent: consent.Consent{
			Kind: consent.Kind(r.required("kind", 16)), Fields: r.texts("fields", consent.MaxFields, 128), Purpose: r.required("purpose", maxText),
			Receiver: r.text("receiver", maxCode), Uses: cmp.Or(r.integer("uses", 1, consent.MaxUses), 1),
		}}
		for _, id := range r.texts("licences", consent.MaxLicences, 160) {
			q.Consent.Licences = append(q.Consent.Licences, licence.Identifier(id))
		}
		q.Life = time.Duration(r.integer("minutes", 1, int64(consent.MaxLife/time.Minute))) * time.Minute
		return q
	})
}

// makeConsent makes a consent of the holder who asks.
func (x *exchange) makeConsent(q registry.ConsentRequest) (a consentJSON, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	k, receipt, err := x.cfg.Registry.MakeConsent(x.r.Context(), x.caller, q)
	return x.newConsent(k), receipt, err
}

// consentsAnswer is one page of consents, the newest first.
type consentsAnswer struct {
	Consents []consentJSON `json:"consents"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

func (x *exchange) newConsents(all []consent.Consent, limit int) consentsAnswer {
	a := consentsAnswer{Consents: make([]consentJSON, 0, len(all))}
	for _, k := range all {
		a.Consents = append(a.Consents, x.newConsent(k))
	}
	if len(all) == limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(all[len(all)-1].ID))
	}
	return a
}

// consents lists the consents of the holder who asks.
func (x *exchange) consents() (func(), audit.Receipt, error) {
	q := registry.ConsentQuery{Limit: defaultPage}
	err := x.listQuery(nameForm, &q.After, &q.Limit, func(name, value string) bool {
		if value == "true" {
			q.StandingAt = x.now()
		}
		return name == "standing" && (value == "true" || value == "false")
	})
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	all, receipt, err := x.cfg.Registry.Consents(x.r.Context(), x.caller, q)
	return func() { x.json(http.StatusOK, x.newConsents(all, q.Limit)) }, receipt, err
}

// codeJSON is a code that opens a consent for a moment.
type codeJSON struct {
	Code string `json:"code"`
	// QR is the text of its symbol, an address that opens a presentation.
	QR    string    `json:"qr"`
	Until time.Time `json:"until"`
	// NextIn is after how many seconds a page should show the next code.
	NextIn int `json:"next_in"`
}

// newCode makes a code for a consent.
func (x *exchange) newCode(struct{}) (a codeJSON, receipt audit.Receipt, err error) {
	if !nameForm.MatchString(x.name) {
		return a, receipt, errNoIdentifier
	}
	code, receipt, err := x.cfg.Registry.NewConsentCode(x.r.Context(), x.caller, x.name)
	if err != nil {
		return a, receipt, err
	}
	text, err := licence.NewCodeText(x.cfg.PublicURL, code.Code)
	return codeJSON{code.Code, text.URL, code.Until.UTC(), int(consent.CodePeriod / time.Second)}, receipt, err
}

// presentedJSON is what is presented of one licence.
type presentedJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	TypeName   string             `json:"type_name"`
	Status     licence.Status     `json:"status"`
	Fields     map[string]any     `json:"fields"`
	Labels     map[string]string  `json:"labels"`
	// Origin is external of what another platform issued; else absent.
	Origin licence.Origin `json:"origin,omitempty"`
	// Portrait is the holder's, a JPEG in base64; absent where there is none, or its field is
	// not agreed to.
	Portrait []byte `json:"portrait,omitempty"`
}

// presentationJSON is what a holder presents.
type presentationJSON struct {
	Purpose  string          `json:"purpose"`
	SeenAt   time.Time       `json:"seen_at"`
	Licences []presentedJSON `json:"licences"`
}

// parseLook reads a body of POST /presentations.
func parseLook(body []byte) (registry.LookRequest, error) {
	return parseJSON(body, func(r *reader) registry.LookRequest {
		return registry.LookRequest{Code: r.required("code", maxText), Operator: r.required("operator", maxText)}
	})
}

// looker is whom codes that open nothing count against: the client, or else the address.
func (x *exchange) looker() string {
	if x.caller.Principal != registry.Anonymous("").Principal {
		return "client " + x.caller.Principal
	}
	return x.remote()
}

// look shows what a code presents. Whoever sends codes that there are none of is limited.
func (x *exchange) look(q registry.LookRequest) (registry.Presentation, audit.Receipt, error) {
	if wait := x.looks.wait(x.looker(), x.now()); wait > 0 {
		return registry.Presentation{}, audit.Receipt{}, x.summed(x.looks.refused, errLimited(wait))
	}
	p, receipt, err := x.cfg.Registry.Look(x.r.Context(), x.caller, q)
	if registry.Code(err) == "consent_unknown" {
		x.looks.take(x.looker(), x.now())
	}
	return p, receipt, err
}

// presentation is a look by a client.
func (x *exchange) presentation(q registry.LookRequest) (presentationJSON, audit.Receipt, error) {
	p, receipt, err := x.look(q)
	a := presentationJSON{Purpose: p.Consent.Purpose, SeenAt: p.SeenAt.UTC()}
	for _, l := range p.Licences {
		a.Licences = append(a.Licences, presentedJSON{l.Identifier, l.TypeName, l.Status, l.Fields, l.Labels, l.Origin, l.Portrait})
	}
	return a, receipt, err
}
