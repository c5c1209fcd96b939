package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"elicence/internal/durable"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/testdata/requests"
)

// demoCmd is the newcomer's door: it makes an instance, uses it through its own
// HTTP interface as an approval system, an official, a partner and a holder
// would, and leaves the results in the folder. Run again on the same folder it
// continues, because every request carries the same Idempotency-Key.
type demoCmd struct {
	serveCmd
	PKIURL string `name:"pki-url" help:"Scheme and host that a new instance writes into its certificates, for CRL and OCSP (default: none)."`
	Once   bool   `help:"Exit when the samples are made, instead of serving."`
}

// The partner of the demo, and what it was granted.
const (
	demoPartner = "partner-social-security"
	demoMatter  = "330114007000"
	demoType    = "11100000MB0143028R901"
	// Its approval system, and the two whom a grant takes.
	demoRegistrar = "approval-social-security"
	demoRequester = "authority-social-security"
	demoApprover  = "authority-data"
)

// demoFile is demo.json.
type demoFile struct {
	BaseURL  string        `json:"base_url"`
	TokenURL string        `json:"token_url"`
	Clients  []demoClient  `json:"clients"`
	Licences []demoLicence `json:"licences"`
}

type demoClient struct {
	ID     string          `json:"id"`
	Secret string          `json:"secret"`
	Roles  []registry.Role `json:"roles"`
}

type demoLicence struct {
	Identifier string `json:"identifier"`
	Number     string `json:"number"`
	TypeCode   string `json:"type_code"`
	HolderName string `json:"holder_name"`
	DataDigest string `json:"data_digest"`
	Status     string `json:"status"`
	File       string `json:"file"`
}

// sample is one of the sample requests.
type sample struct {
	name string // file name without .json
	body []byte
	asks struct {
		TypeCode string `json:"type_code"`
		Holder   struct {
			Name     string `json:"name"`
			Code     string `json:"code"`
			CodeType string `json:"code_type"`
		} `json:"holder"`
	}
}

// Run makes and serves the demo.
func (d *demoCmd) Run(ctx context.Context) error {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return err
	}
	fonts, err := openFonts(d.Fonts)
	if errors.Is(err, errFontsMissing) {
		if err = fetchFonts(ctx); err == nil {
			fonts, err = openFonts(d.Fonts)
		}
	}
	if err != nil {
		return err
	}
	if d.PKIURL != "" && !publicURL.MatchString(d.PKIURL) {
		return fmt.Errorf("%w: --pki-url %q is not http or https with a host and nothing else", errUsage, d.PKIURL)
	}
	issuer, stopProvider := "", func() {}
	defer func() { stopProvider() }()
	prepare := func(baseURL string) error {
		var authorities []authority
		for _, a := range demoAuthorities {
			authorities = append(authorities, a.authority)
		}
		authorities = append(authorities, demoPlatform)
		if err := setUp(d.Dir, settings{PKIURL: d.PKIURL, Authorities: authorities, Platform: demoPlatform.Code}, fonts, time.Now()); err != nil {
			return err
		}
		if d.LogPolicy == "" {
			if err := d.makeWitness(); err != nil {
				return err
			}
		}
		issuer, stopProvider, err = d.startProvider(ctx, baseURL)
		return err
	}
	return d.serve(ctx, fonts, prepare, func(in *instance, baseURL string) error {
		w := &walk{dir: d.Dir, in: in, issuer: issuer, file: demoFile{BaseURL: baseURL, TokenURL: baseURL + "/api/v1/oauth/token"}}
		if err := w.run(ctx); err != nil {
			return err
		}
		if d.Once {
			return nil
		}
		if err := w.invite(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
}

// walk is one run of the demo against its own service.
type walk struct {
	dir  string
	in   *instance
	file demoFile
	// last is the file of an earlier run, if any.
	last demoFile
	// issuer is the demo's own identity provider; empty for none.
	issuer string
	// reused is a valid licence that the partner was shown.
	reused licence.Identifier
}

func (w *walk) run(ctx context.Context) error {
	samples, err := loadSamples()
	if err != nil {
		return err
	}
	samples = w.sealable(samples)
	for _, step := range []func(context.Context, []sample) error{
		w.register, w.people, w.issueAll, w.verifyOne, w.grant, w.reuseOne, w.copyOne, w.revokeOne, w.download, w.bundleOne, w.exports,
	} {
		if err := step(ctx, samples); err != nil {
			return err
		}
	}
	return nil
}

// loadSamples reads the sample requests in name order.
func loadSamples() ([]sample, error) {
	names, err := fs.Glob(requests.Files, "*.json")
	if err != nil {
		return nil, err
	}
	var samples []sample
	for _, name := range names {
		s := sample{name: strings.TrimSuffix(name, ".json")}
		if s.body, err = requests.Files.ReadFile(name); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(s.body, &s.asks); err != nil {
			return nil, fmt.Errorf("sample %s: %w", name, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// register makes the clients, unless an earlier run did; their secrets are then those
// of demo.json.
func (w *walk) register(ctx context.Context, samples []sample) error {
	if b, err := os.ReadFile(filepath.Join(w.dir, "demo.json")); err == nil {
		if err := json.Unmarshal(b, &w.last); err != nil {
			return fmt.Errorf("reading the demo.json of an earlier run: %w", err)
		}
	}
	for _, c := range demoClients(samples) {
		if err := w.put(ctx, c); err != nil {
			return err
		}
	}
	return errors.Join(w.consent(ctx), w.save())
}

// put registers a client, with the secret of an earlier run, which somebody may be using.
func (w *walk) put(ctx context.Context, c registry.Client) error {
	secret := rand.Text()
	if i := slices.IndexFunc(w.last.Clients, func(d demoClient) bool { return d.ID == c.ID }); i >= 0 {
		secret = w.last.Clients[i].Secret
	}
	c.Salt = []byte(rand.Text())
	c.SecretHash = registry.HashSecret(c.Salt, secret)
	if _, err := w.in.registry.PutClient(ctx, registry.System("demo"), c); err != nil {
		return fmt.Errorf("registering client %s: %w", c.ID, err)
	}
	w.file.Clients = append(w.file.Clients, demoClient{c.ID, secret, c.Roles})
	return nil
}

// demoClients are the machine clients of the demo, one of each role at least.
func demoClients(samples []sample) []registry.Client {
	var clients []registry.Client
	for _, a := range demoAuthorities {
		clients = append(clients, registry.Client{ID: a.client, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: a.issuing(), Types: a.types})
	}
	holder := samples[slices.IndexFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoType })].asks.Holder
	return append(clients,
		registry.Client{ID: demoRegistrar, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: demoCity},
		registry.Client{ID: demoRequester, Roles: []registry.Role{registry.RoleAuthority}, Authority: demoCity},
		registry.Client{ID: demoApprover, Roles: []registry.Role{registry.RoleAuthority}, Authority: demoPlatform.issuing(), Types: demoTypes()},
		registry.Client{ID: demoPartner, Roles: []registry.Role{registry.RolePartner}, Authority: demoCity},
		registry.Client{ID: "verifier-counter", Roles: []registry.Role{registry.RoleVerifier}, Authority: demoCity},
		registry.Client{ID: "holder-demo", Roles: []registry.Role{registry.RoleHolder},
			HolderCode: holder.Code, HolderCodeType: licence.HolderCodeType(holder.CodeType)},
		registry.Client{ID: "auditor-demo", Roles: []registry.Role{registry.RoleAuditor}},
	)
}

// as returns an HTTP client with a token of the named demo client.
func (w *walk) as(ctx context.Context, id string) (*apiClient, error) {
	i := slices.IndexFunc(w.file.Clients, func(c demoClient) bool { return c.ID == id })
	return newAPIClient(ctx, w.file.BaseURL, id, w.file.Clients[i].Secret)
}

// issueAll issues every sample as the approval system of its authority.
func (w *walk) issueAll(ctx context.Context, samples []sample) error {
	for _, s := range samples {
		c, err := w.as(ctx, issuerOf(s.asks.TypeCode).client)
		if err != nil {
			return err
		}
		var issued registry.Issued
		if err := c.post(ctx, "/licences", "demo-"+s.name, s.body, &issued); err != nil {
			return fmt.Errorf("issuing %s: %w", s.name, err)
		}
		w.file.Licences = append(w.file.Licences, demoLicence{
			Identifier: string(issued.Identifier), Number: issued.Number, TypeCode: issued.TypeCode,
			HolderName: s.asks.Holder.Name, DataDigest: issued.DataDigest, Status: string(licence.StatusValid),
			File: "sample-" + s.name + ".pdf",
		})
		fmt.Printf("issued   %-22s %s\n", s.name, issued.Number)
	}
	return nil
}

// verifyOne uploads the first licence as anybody may.
func (w *walk) verifyOne(ctx context.Context, _ []sample) error {
	c, err := w.as(ctx, demoAuthorities[0].client)
	if err != nil {
		return err
	}
	l := w.file.Licences[w.indexOf(demoType)]
	file, err := c.get(ctx, "/licences/"+l.Identifier+"/file")
	if err != nil {
		return err
	}
	var report struct {
		Indication   string `json:"indication"`
		LicenceState string `json:"licence_state"`
	}
	anybody := &apiClient{base: w.file.BaseURL + "/api/v1"}
	if err := anybody.send(ctx, "POST", "/verifications", "application/pdf", "", file, &report); err != nil {
		return fmt.Errorf("verifying %s: %w", l.File, err)
	}
	fmt.Printf("verified %-22s %s, %s\n", l.File, report.Indication, report.LicenceState)
	return w.reportOn(ctx, l.File, file)
}

// reportOn has an official's verification of a licence sealed, to be filed.
func (w *walk) reportOn(ctx context.Context, name string, file []byte) error {
	if _, found := w.in.registry.Reporter(); !found {
		fmt.Printf("skipped  verification report: %s was made before anybody had a seal for them; a new folder has it\n", w.dir)
		return nil
	}
	c, err := w.as(ctx, "verifier-counter")
	if err != nil {
		return err
	}
	var sealed []byte
	if err := c.send(ctx, "POST", "/verifications/report", "application/pdf", "", file, &sealed); err != nil {
		return fmt.Errorf("sealing the report on %s: %w", name, err)
	}
	const reportName = "verification-report.pdf"
	fmt.Printf("reported %s\n", reportName)
	return durable.Replace(filepath.Join(w.dir, reportName), sealed)
}

func (w *walk) indexOf(typeCode string) int {
	return slices.IndexFunc(w.file.Licences, func(l demoLicence) bool { return l.TypeCode == typeCode })
}

// revokeOne revokes the last licence of the list.
func (w *walk) revokeOne(ctx context.Context, _ []sample) error {
	i := len(w.file.Licences) - 1
	l := &w.file.Licences[i]
	c, err := w.as(ctx, issuerOf(l.TypeCode).client)
	if err != nil {
		return err
	}
	body := []byte(`{"reason":"演示：吊销","case_number":"DEMO-2026-0002"}`)
	if err := c.post(ctx, "/licences/"+l.Identifier+"/revoke", "demo-revoke", body, nil); err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	l.Status = string(licence.StatusRevoked)
	l.File = strings.Replace(l.File, "sample-", "revoked-", 1)
	fmt.Printf("revoked  %s\n", l.Number)
	return nil
}

// download fetches every file. What a caller did to a licence since the last
// run is read from the register, so that sample-* are the valid ones.
func (w *walk) download(ctx context.Context, _ []sample) error {
	for i := range w.file.Licences {
		l := &w.file.Licences[i]
		c, err := w.as(ctx, issuerOf(l.TypeCode).client)
		if err != nil {
			return err
		}
		if err := w.downloadOne(ctx, c, l); err != nil {
			return fmt.Errorf("downloading %s: %w", l.File, err)
		}
	}
	return w.save()
}

func (w *walk) downloadOne(ctx context.Context, c *apiClient, l *demoLicence) error {
	b, err := c.get(ctx, "/licences/"+l.Identifier)
	if err != nil {
		return err
	}
	var now struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(b, &now); err != nil {
		return err
	}
	_, name, _ := strings.Cut(l.File, "-")
	l.Status = now.Status
	l.File = cmp.Or(map[string]string{"valid": "sample"}[now.Status], now.Status) + "-" + name
	file, err := c.get(ctx, "/licences/"+l.Identifier+"/file")
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(w.dir, "*-"+name)) // of an earlier run, with another status
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return err
		}
	}
	return durable.Replace(filepath.Join(w.dir, l.File), file)
}

// bundleOne fetches the evidence bundle of the first licence.
func (w *walk) bundleOne(ctx context.Context, _ []sample) error {
	l := w.file.Licences[0]
	c, err := w.as(ctx, issuerOf(l.TypeCode).client)
	if err != nil {
		return err
	}
	raw, err := c.get(ctx, "/licences/"+l.Identifier+"/bundle")
	if err != nil {
		return fmt.Errorf("fetching the evidence bundle of %s: %w", l.File, err)
	}
	return durable.Replace(filepath.Join(w.dir, "bundle.zip"), raw)
}

// exports writes what an outsider needs to check the service without it.
func (w *walk) exports(ctx context.Context, _ []sample) error {
	anchors, err := w.in.keys.anchorText()
	if err != nil {
		return err
	}
	list, err := w.in.trustList(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("making the trust list: %w", err)
	}
	for name, content := range map[string][]byte{
		"anchors.pem": anchors, "log-policy.txt": w.in.policy.Marshal(), "trust.json": list,
	} {
		if err := durable.Replace(filepath.Join(w.dir, name), content); err != nil {
			return err
		}
	}
	if err := w.in.cosigned(ctx); err != nil {
		return err
	}
	return exportLog(ctx, w.in.database, w.in.settings.LogID, 0, 0, filepath.Join(w.dir, "log-export"))
}

// save writes demo.json, for its owner alone: it holds the clients' secrets.
func (w *walk) save() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(w.file); err != nil {
		return err
	}
	file := filepath.Join(w.dir, "demo.json")
	if err := os.WriteFile(file+".new", b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
