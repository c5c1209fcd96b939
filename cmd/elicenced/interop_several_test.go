//go:build interop

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/tsa"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/store"
	"elicence/testdata/requests"
	"elicence/verify"
)

// sealColumns are the parts of one seal; before those of a co-seal stands its number and
// a full stop.
var sealColumns = columns[:4]

// severalParts are all the parts that a file with several signatures may have.
var severalParts = slices.Concat([]string{"pades"}, coSealParts("1."), coSealParts("2."), columns)

func coSealParts(prefix string) (parts []string) {
	for _, c := range sealColumns {
		parts = append(parts, prefix+c)
	}
	return parts
}

// several is a licence with several signatures, for changing copies of it.
type several struct {
	subject
	kind string // in the table
	file *pdfsig.File
	// signatures are the names of the signatures in their order: "pades", the numbers of
	// co-seals with a full stop, and "" for the last seal.
	signatures []string
}

func newSeveral(t *testing.T, name, kind, state string, data []byte) *several {
	t.Helper()
	s := &several{subject: subject{name: name, state: state, pdf: data}, kind: kind}
	var err error
	s.parts, err = verify.Inspect(data)
	must(t, err)
	s.file, err = pdfsig.Read(data)
	must(t, err)
	if s.file.Signatures[0].SubFilter == pdfsig.SubFilterPAdES {
		s.signatures = []string{"pades"}
	}
	for i := range s.parts.CoSeals {
		s.signatures = append(s.signatures, fmt.Sprint(i+1, "."))
	}
	s.signatures = append(s.signatures, "")
	return s
}

// of is the licence as a subject whose parts are those of one of its signatures.
func (s *several) of(signature string) *subject {
	one := s.subject
	switch i := slices.Index(s.signatures, signature); {
	case signature == "pades":
		one.parts = &verify.Parts{Container: s.file.Signatures[i]}
	case signature != "":
		one.parts = s.parts.CoSeals[signature[0]-'1']
	}
	return &one
}

// want is what is said of a copy in which a signature was changed: those words of its
// own parts, and that each later one covers another document. No words at all: refused.
func (s *several) want(signature, words string) verdicts {
	v, changed := verdicts{}, false
	if words == "" {
		return v
	}
	for _, name := range s.signatures {
		if name == "pades" {
			v[name] = good
		} else {
			for _, part := range sealColumns {
				v[name+part] = good
			}
		}
		switch {
		case name == signature && name == "pades":
			v[name] = words
		case name == signature:
			for i, word := range strings.Fields(words)[:4] {
				v[name+sealColumns[i]] = word
			}
		case changed:
			v[name+"document"] = bad
		}
		changed = changed || name == signature
	}
	v["qr"] = good
	return v
}

// pageWant is what is said of a copy with another page: no signature covers it.
func (s *several) pageWant() verdicts {
	v := s.want("", "good good good good")
	for _, name := range s.signatures {
		if name == "pades" {
			v[name] = bad
		} else {
			v[name+"document"] = bad
		}
	}
	return v
}

// page changes a stream that every signature covers.
func (s *several) page(r *rand.Rand) []byte {
	for {
		out := streams(&s.subject, r)
		if first := s.file.Signatures[0].ByteRange[1]; !bytes.Equal(out[:first], s.pdf[:first]) {
			return out
		}
	}
}

// exhibit is a copy of the licence with its row in the table.
func (s *several) exhibit(n int, change string, data []byte, wanted verdicts) exhibit {
	return exhibit{fmt.Sprintf("several-%04d.pdf", n), s.kind + ": " + change, data, wanted}
}

// severalFiles are licences with several signatures, and changed copies of them.
func (s *site) severalFiles(t *testing.T, random *rand.Rand) (all []exhibit) {
	t.Helper()
	two, most := s.jointLicences(t), mostSignatures(t)
	for _, l := range slices.Concat(two, most) {
		words := "good good good good"
		if l.parts.Token == nil {
			words = "good good good absent"
		}
		all = append(all, l.exhibit(len(all), "nothing; "+l.state, l.pdf, l.want("", words)))
	}
	add := func(l *several, change string, data []byte, wanted verdicts) {
		all = append(all, l.exhibit(len(all), change, data, wanted))
	}
	for i := range 20 {
		l := two[i%len(two)]
		add(l, "page, font or picture", l.page(random), l.pageWant())
		add(l, "any bit", anywhere(&l.subject, random), verdicts{})
	}
	for _, l := range two {
		first := l.file.Signatures[0].ByteRange
		add(l, "cut off behind the co-seal", l.pdf[:first[2]+first[3]], verdicts{})
		add(l, "co-seal of another licence", l.under(two[(slices.Index(two, l)+1)%len(two)]), l.want("1.", "bad good good good"))
	}
	for _, signature := range []string{"1.", ""} {
		for _, c := range changes {
			if strings.HasPrefix(c.name, "document") {
				continue // of the file, as above
			}
			for i := range (c.files + 4) / 5 {
				l := two[i%len(two)]
				add(l, map[string]string{"1.": "co-seal; ", "": "seal; "}[signature]+c.name, c.alter(l.of(signature), random), l.want(signature, c.want))
			}
		}
	}
	for i := range 10 {
		l := most[i%2]
		add(l, "page, font or picture", l.page(random), l.pageWant())
		add(l, "PAdES signature; value", inside(contents, -20, 20)(l.of("pades"), random), l.want("pades", bad))
		add(l, "PAdES signature; attribute with the digest", inside(padesDigest, 0, 32)(l.of("pades"), random), l.want("pades", bad))
		add(l, "PAdES signature; any bit", anyOfDER(l.of("pades"), random), verdicts{})
		add(l, "second co-seal; sealed digest", inside(digestOf, 0, 32)(l.of("2."), random), l.want("2.", "bad good bad good"))
		add(l, "second co-seal; value", inside(signature, -20, 20)(l.of("2."), random), l.want("2.", "good good bad bad"))
		add(l, "second co-seal; any bit", anyOfDER(l.of("2."), random), verdicts{})
	}
	return all
}

func contents(p *verify.Parts) []byte { return p.Container.Contents }

// padesDigest is the value of the attribute messageDigest in a PAdES signature.
func padesDigest(p *verify.Parts) []byte {
	before := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4, 0x31, 0x22, 4, 32}
	return p.Container.Contents[bytes.Index(p.Container.Contents, before)+len(before):][:32]
}

// under is the licence under the co-seal of another.
func (s *several) under(other *several) []byte {
	first := s.file.Signatures[0].ByteRange
	out := bytes.Clone(s.pdf)
	room := out[first[1]+1 : first[2]-1]
	for i := range room {
		room[i] = '0'
	}
	hex.Encode(room, other.file.Signatures[0].Contents)
	return out
}

// jointLicences are issued by the site with the seals of two authorities: at once, and
// when the timestamp authority is back that was away when they were asked for.
func (s *site) jointLicences(t *testing.T) (all []*several) {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	samples = slices.DeleteFunc(samples, func(s sample) bool { return s.asks.TypeCode != demoJoint })
	issue := func(r *running, key string, one sample) (registry.Issued, error) {
		var answer registry.Issued
		return answer, s.as(t, r, clientFor(one)).post(t.Context(), "/licences", key, one.body, &answer)
	}
	keep := func(r *running, key, state string, one sample, l registry.Issued) {
		file := s.file(t, r, issuedSample{client: clientFor(one), identifier: string(l.Identifier)})
		all = append(all, newSeveral(t, key, "two seals", state, file))
	}
	alone := s.serve(t, "--tsa-url", "http://127.0.0.1:1/")
	for _, one := range samples {
		if _, err := issue(alone, "late-"+one.name, one); err == nil || !strings.Contains(err.Error(), "timestamp_awaited") {
			t.Errorf("%s without a timestamp authority: %v", one.name, err)
		}
	}
	alone.stop(t)
	again := s.serve(t)
	defer again.stop(t)
	for _, one := range samples {
		for round := range rounds {
			key := fmt.Sprintf("joint-%s-%d", one.name, round)
			l, err := issue(again, key, one)
			must(t, err)
			keep(again, key, "timestamped", one, l)
		}
		var late registry.Issued
		waitFor(t, "the waiting licence is finished", func() bool {
			late, err = issue(again, "late-"+one.name, one)
			return err == nil
		})
		keep(again, "late-"+one.name, "finished when the authority was back", one, late)
	}
	return all
}

// mostSignatures are licences with as many signatures as there can be: two for each
// sample, the second without a timestamp of its last seal; and one with a single seal
// below its PAdES signature. The site has no key for that, so a registry of its own
// issues them.
func mostSignatures(t *testing.T) (all []*several) {
	t.Helper()
	s := openRegistry(t)
	cfg := s.Three(t)
	issue := func(cfg registry.Config, name, kind, state string) {
		r, err := registry.New(cfg)
		must(t, err)
		body, err := requests.Files.ReadFile(name + ".json")
		must(t, err)
		typeCode := registrytest.JointType
		if !strings.HasPrefix(name, "joint-") {
			typeCode = demoType
		}
		caller := registrytest.Approval(typeCode)
		issued, _, err := r.Issue(t.Context(), caller, registry.IssueRequest{Key: fmt.Sprint(len(all)), Body: body})
		must(t, err)
		file, _, err := r.Download(t.Context(), caller, issued.Identifier, registry.Use{})
		must(t, err)
		all = append(all, newSeveral(t, name, kind, state, file))
	}
	const most = "PAdES and three seals"
	issue(cfg, "joint-dwellings", most, "timestamped")
	issue(cfg, "joint-school", most, "timestamped")
	pending := cfg
	for _, name := range []string{"joint-dwellings", "joint-school"} {
		pending.TSA = &twoTokens{Timestamper: cfg.TSA}
		issue(pending, name, most, "timestamp of the last seal pending")
	}
	issue(cfg, "food-retail", "PAdES and a seal", "timestamped")
	return all
}

// twoTokens is a timestamp authority that goes away after two.
type twoTokens struct {
	registry.Timestamper
	given int
}

func (a *twoTokens) Timestamp(ctx context.Context, message []byte) (*tsa.Token, error) {
	if a.given++; a.given > 2 {
		return nil, errors.New("connection refused")
	}
	return a.Timestamper.Timestamp(ctx, message)
}

// openRegistry is a registry of tests over a database of its own.
func openRegistry(t *testing.T) *registrytest.Service {
	t.Helper()
	key := make([]byte, 16)
	cipher, err := pki.NewCipher(key)
	must(t, err)
	dir := t.TempDir()
	db, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "elicence.db"), store.Secrets{Cipher: cipher, IndexKey: key})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context()))
	files, err := store.OpenFolder(filepath.Join(dir, "files"), cipher)
	must(t, err)
	return registrytest.New(t, db, files, stranger)
}

// stranger verifies a file with the anchors alone.
func stranger(anchors *pki.TrustAnchors) func(context.Context, *pdfsig.File, time.Time) error {
	return func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		v := verify.Verifier{Anchors: anchors}
		if r := v.VerifyRead(ctx, f, at); r.Indication != verify.TotalPassed {
			return fmt.Errorf("%s/%s", r.Indication, r.SubIndication)
		}
		return nil
	}
}

// severalVerdicts reads a report on several signatures, seal by seal. Whether there is one
// without SM2 among them stands in what was found of the structure.
func severalVerdicts(r *verify.Report, v verdicts) {
	for i, s := range r.Seals {
		prefix := fmt.Sprint(i+1, ".")
		if i == len(r.Seals)-1 {
			prefix = ""
		}
		one := verify.Report{Checks: s.Checks}
		for _, part := range sealColumns {
			v[prefix+part] = checkVerdict(&one, checkOf[part])
		}
	}
	if strings.Contains(r.Check(verify.CheckStructure).Evidence, pdfsig.SubFilterPAdES) {
		v["pades"] = good
		if r.Check(verify.CheckSealSignature).Code == "pades_wrong" {
			v["pades"] = bad
		}
	}
}

// severalTable has a column for each signature, which tells what is wrong with it.
func severalTable(all []exhibit) string {
	var b strings.Builder
	b.WriteString("| what was changed | files | PAdES | co-seal 1 | co-seal 2 | seal | QR code |\n|---|---|---|---|---|---|---|\n")
	changes, count, wanted := tally(all)
	for _, change := range changes {
		v := wanted[change]
		fmt.Fprintf(&b, "| %s | %d |", change, count[change])
		if len(v) == 0 {
			b.WriteString(" **refused** | | | | |\n")
			continue
		}
		for _, parts := range [][]string{{"pades"}, coSealParts("1."), coSealParts("2."), sealColumns, {"qr"}} {
			fmt.Fprintf(&b, " %s |", signatureCell(v, parts))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// signatureCell says what is wrong with a signature, or that nothing is.
func signatureCell(v verdicts, parts []string) string {
	if v[parts[0]] == "" {
		return ""
	}
	if len(parts) == 1 {
		return strings.Replace(v[parts[0]], bad, "**bad**", 1)
	}
	var wrong []string
	cell := good
	for _, part := range parts {
		_, name, numbered := strings.Cut(part, ".")
		if !numbered {
			name = part
		}
		switch name = headings.Replace(name); v[part] {
		case bad:
			wrong = append(wrong, name)
		case absent:
			cell = good + ", no " + name
		}
	}
	if wrong != nil {
		return "**bad** " + strings.Join(wrong, ", ")
	}
	return cell
}

// tally is the changes in the order of the exhibits, with how many each has and what is
// wanted of them.
func tally(all []exhibit) (changes []string, count map[string]int, wanted map[string]verdicts) {
	count, wanted = map[string]int{}, map[string]verdicts{}
	for _, e := range all {
		if count[e.change]++; count[e.change] == 1 {
			changes, wanted[e.change] = append(changes, e.change), e.want
		} else if !maps.Equal(wanted[e.change], e.want) {
			panic("a row of the table wants two things: " + e.change)
		}
	}
	return changes, count, wanted
}
