// Package testidp is an OpenID Connect provider to try and test the service with: it signs
// anybody in as whichever of its made-up people they pick, and asks for no proof. The demo's
// program and the tests have it in common; the service links nothing of it.
//
// The protocol is github.com/zitadel/oidc, with the store of its example server; the people,
// and the page on which one picks, are ours.
package testidp

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// NumberClaim is the claim with a person's citizen number, which scope profile asks for.
const NumberClaim = "id_number"

// Person is somebody whom one can sign in as.
type Person struct {
	// Subject is what the provider calls the person, for good.
	Subject string `json:"subject"`
	// Name and About are what the page shows; About may be empty.
	Name  string `json:"name"`
	About string `json:"about"`
	// Number is a citizen's number, unchecked; the page shows those without as officials.
	Number string `json:"id_number,omitempty"`
}

// Config is what a provider needs. All fields must be set.
type Config struct {
	// Issuer is the URL that the provider is served at, without a path.
	Issuer string
	// ClientID and ClientSecret are those of the one service it signs people in to, Returns the
	// URLs that it sends them back to.
	ClientID, ClientSecret string
	Returns                []string
	People                 []Person
}

// check says what a provider lacks.
func (c *Config) check() error {
	if c.ClientID == "" || c.ClientSecret == "" || len(c.Returns) == 0 || len(c.People) == 0 {
		return errors.New("a provider needs a client, its secret, where it sends people back to, and people")
	}
	for i, p := range c.People {
		if p.Subject == "" || p.Name == "" {
			return fmt.Errorf("people[%d] has no subject or no name", i)
		}
		if _, again := list(c.People[:i]).find(p.Subject); again {
			return fmt.Errorf("people[%d]: subject %q stands there already", i, p.Subject)
		}
	}
	return nil
}

// list are the people, as the store asks for them: under their subjects, without passwords.
type list []Person

func (l list) find(subject string) (Person, bool) {
	i := slices.IndexFunc(l, func(p Person) bool { return p.Subject == subject })
	if i < 0 {
		return Person{}, false
	}
	return l[i], true
}

// GetUserByID implements storage.UserStore.
func (l list) GetUserByID(subject string) *storage.User {
	p, found := l.find(subject)
	if !found {
		return nil
	}
	return &storage.User{ID: subject, Username: subject, LastName: p.Name}
}

// GetUserByUsername implements storage.UserStore.
func (l list) GetUserByUsername(subject string) *storage.User { return l.GetUserByID(subject) }

// ExampleClientID implements storage.UserStore: the store lets a machine of this name in by a
// key that everybody has, so nobody is told the name.
func (l list) ExampleClientID() string { return rand.Text() }

// store is the example's, which also knows citizen numbers.
type store struct {
	*storage.Storage
	people list
}

// SetUserinfoFromToken implements op.Storage.
func (s store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	err := s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
	if p, found := s.people.find(subject); err == nil && found && info.Name != "" && p.Number != "" { // a name is there with scope profile
		info.AppendClaims(NumberClaim, p.Number)
	}
	return err
}

// provider is the protocol with our page before it.
type provider struct {
	store store
	back  func(context.Context, string) string
}

// New is the handler of a provider, with a signing key of its own.
func New(c Config) (http.Handler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	service := storage.WebClient(c.ClientID, c.ClientSecret, c.Returns...)
	s := store{storage.NewStorageWithClients(list(c.People), map[string]*storage.Client{c.ClientID: service}), c.People}
	config := &op.Config{CodeMethodS256: true, DefaultLogoutRedirectURI: "/"}
	rand.Read(config.CryptoKey[:])
	protocol, err := op.NewProvider(config, s, op.StaticIssuer(c.Issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, err
	}
	p := provider{s, op.AuthCallbackURL(protocol)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/username", p.choice) // which the example's clients lead to
	mux.Handle("POST /sign-in", op.NewIssuerInterceptor(protocol.IssuerFromRequest).HandlerFunc(p.signIn))
	mux.Handle("/", protocol)
	return mux, nil
}

// Server is a server for a provider with bounds on time and size.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: http.MaxBytesHandler(h, 64<<10), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// choice shows the people to pick from.
func (p provider) choice(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("authRequestID")
	if _, err := p.store.AuthRequestByID(r.Context(), id); err != nil {
		p.show(w, http.StatusBadRequest, "")
		return
	}
	p.show(w, http.StatusOK, id)
}

// signIn takes who was picked back to the service.
func (p provider) signIn(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("id")
	if err := p.store.CheckUsernamePassword(r.PostFormValue("subject"), "", id); err != nil {
		p.show(w, http.StatusBadRequest, "")
		return
	}
	http.Redirect(w, r, p.back(r.Context(), id), http.StatusSeeOther)
}

// show answers with the page; without a request to sign in, which is one that nobody made or
// that is over, it says so.
func (p provider) show(w http.ResponseWriter, status int, id string) {
	shown := struct {
		ID                  string
		Citizens, Officials []Person
	}{ID: id}
	for _, one := range p.store.people {
		if one.Number != "" {
			shown.Citizens = append(shown.Citizens, one)
		} else {
			shown.Officials = append(shown.Officials, one)
		}
	}
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
	} {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	page.Execute(w, shown) // fails only when nobody reads on
}
