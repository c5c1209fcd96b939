package registry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// copyOf asks for a copy of the walk's licence in a case.
func (w *walker) copyOf(number string) registry.CopyRequest {
	return registry.CopyRequest{Key: w.next(), Identifier: w.issued.Identifier,
		Use: registry.Use{Purpose: purpose, Case: number, Matter: "m", Operator: "王五"}}
}

// copied makes a copy and fetches it.
func (w *walker) copied(q registry.CopyRequest) (registry.CopyMade, []byte) {
	w.t.Helper()
	made, _, err := w.MakeCopy(w.t.Context(), registrytest.Partner(), q)
	must(w.t, err)
	file, _, err := w.GetCopy(w.t.Context(), registrytest.Partner(), made.Copy, registry.Use{})
	must(w.t, err)
	return made, file
}

// online is a verifier that asks the register.
type online struct{ registry.Lookup }

func (o online) entry(k registry.Known, err error) (verify.RegisterEntry, error) {
	return verify.RegisterEntry{Identifier: k.Identifier, Status: k.Status, ReadAt: k.AsOf, DataDigest: k.DataDigest, RangeDigest: k.File.RangeDigest,
		ProvenAt: k.File.SealedAt, Timestamped: k.File.Timestamped || !k.Current, Copy: k.Copy}, err
}

func (o online) ByFileDigest(ctx context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	return o.entry(o.ByFile(ctx, digest))
}

func (o online) ByIdentifier(ctx context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	return o.entry(o.Lookup.ByIdentifier(ctx, id))
}

func (o online) ByCopy(ctx context.Context, id licence.CopyID) (verify.RegisterEntry, error) {
	return o.entry(o.Lookup.ByCopy(ctx, id))
}

// asked verifies with the register.
func (w *walker) asked(in verify.Input) (report *verify.Report) {
	w.t.Helper()
	_, err := w.Verify(w.t.Context(), registry.Anonymous("test"), func() [32]byte { return sm3.Sum(in.File) }, func(l registry.Lookup) registry.Verdict {
		v := verify.Verifier{Anchors: w.PKI.Anchors, Register: online{l}}
		v.QRSigners = append(v.QRSigners, w.PKI.QR.Certificate)
		report = v.Verify(w.t.Context(), in, w.Now())
		return registry.Verdict{}
	})
	must(w.t, err)
	return report
}

// symbolOf is the text of a file's QR code.
func (w *walker) symbolOf(file []byte) string {
	w.t.Helper()
	f, err := pdfsig.Read(file)
	must(w.t, err)
	text, err := licence.NewQRText(registrytest.PublicURL, f.Attachments["qr.cbor"])
	must(w.t, err)
	return text.String()
}

// TestMakeCopy: a copy is a file of its own for its receiver, with data that say so; every
// step is in the log in its order, and the same request gets the same copy.
func TestMakeCopy(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	q := w.copyOf("c")
	before := loggedEntries(t, s)
	made, receipt, err := s.MakeCopy(t.Context(), registrytest.Partner(), q)
	must(t, err)
	var actions []string
	for _, e := range loggedEntries(t, s)[len(before):] {
		actions = append(actions, string(e.Action))
		if e.Object != string(w.issued.Identifier) || e.Principal != "partner" {
			t.Errorf("%s is about %s by %s", e.Action, e.Object, e.Principal)
		}
	}
	if got := strings.Join(actions, " "); got != "copy copy_sealing copied" {
		t.Errorf("logged: %s", got)
	}
	last := loggedEntries(t, s)[receipt.Index]
	if hex.EncodeToString(last.Digest) != made.FileDigest || last.Action != registry.ActionCopied {
		t.Errorf("the receipt is for %s with %x", last.Action, last.Digest)
	}
	file, _, err := s.GetCopy(t.Context(), registrytest.Partner(), made.Copy, registry.Use{})
	must(t, err)
	if sum := sm3.Sum(file); hex.EncodeToString(sum[:]) != made.FileDigest || made.FileDigest == w.issued.FileDigest {
		t.Errorf("the file's digest is %x; the licence's %s", sum, w.issued.FileDigest)
	}
	f, err := pdfsig.Read(file)
	must(t, err)
	l, err := licence.ParseData(f.Attachments["licence.json"])
	must(t, err)
	want := licence.Copy{ID: made.Copy, CreatedAt: s.Now().Truncate(time.Second), ExpiresOn: licence.DateOf(s.Now().AddDate(0, 0, 29)), Cause: purpose, CaseNumber: "c",
		Maker:    licence.Party{Name: registrytest.Platform.Name, Code: registrytest.Platform.Code},
		Receiver: licence.Party{Name: registrytest.Department.Name, Code: registrytest.Department.Code}}
	if *l.Copy != want {
		t.Errorf("copy %+v, want %+v", *l.Copy, want)
	}
	again, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), q)
	if err != nil || again != made {
		t.Errorf("the same request: %+v, %v", again, err)
	}
	q.Body[0]++
	if _, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), q); !errors.Is(err, registry.ErrKeyReused) {
		t.Errorf("another request with the key: %v", err)
	}
	w.wantUntouched(file)
}

// wantUntouched: the licence's own file is the same as before, and nowhere in the copy.
func (w *walker) wantUntouched(file []byte) {
	w.t.Helper()
	original, _, err := w.Download(w.t.Context(), w.holder, w.issued.Identifier, registry.Use{})
	must(w.t, err)
	if sum := sm3.Sum(original); hex.EncodeToString(sum[:]) != w.issued.FileDigest {
		w.t.Error("the licence's file has changed")
	}
	f, err := pdfsig.Read(original)
	must(w.t, err)
	for name, secret := range map[string][]byte{"seal signature": f.Signatures[0].Contents, "QR message": f.Attachments["qr.cbor"], "licence data": f.Attachments["licence.json"]} {
		if inner, err := pdfsig.Read(file); err != nil || bytes.Equal(inner.Signatures[0].Contents, secret) || bytes.Contains(file, secret) ||
			slices.ContainsFunc([]string{"qr.cbor", "licence.json"}, func(n string) bool { return bytes.Equal(inner.Attachments[n], secret) }) {
			w.t.Errorf("the copy holds the licence's %s, or %v", name, err)
		}
	}
}

// loggedEntries are all entries of the log.
func loggedEntries(t *testing.T, s *registrytest.Service) (all []audit.Entry) {
	t.Helper()
	head, err := s.Backend.Head(t.Context(), registrytest.LogID)
	must(t, err)
	must(t, s.Backend.Rows(t.Context(), registrytest.LogID, 0, head.Size, func(row audit.Row) error {
		record, err := audit.ParseRecord(row.Record)
		all = append(all, record.Entry)
		return err
	}))
	return all
}

// TestCopyRefused: whatever a copy needs keeps it shut when it is missing, and who asks
// does not learn whether there is a licence of another holder.
func TestCopyRefused(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "data", Fields: []string{"number", "holder.name"}})
	for number, change := range map[string]func(*registry.Case){
		"data": func(k *registry.Case) { k.MatterCode = "data" }, "none": func(k *registry.Case) { k.MatterCode = "none" },
		"holder": func(k *registry.Case) {
			k.Holder = licence.Holder{Code: "11330100002490082C", CodeType: licence.CodeTypeUSCC}
		},
		"type": func(k *registry.Case) { k.Types = []string{"11100000MB19000005901"} },
	} {
		k := w.newCase(number)
		change(&k)
		s.Case(t, registrytest.Department, k)
	}
	closed := w.openCase("closed")
	_, _, err := s.CloseCase(t.Context(), w.registrar(), closed, registry.StatusRequest{Key: "closed", Reason: "办结"})
	must(t, err)
	nobody, err := licence.NewIdentifier(w.issued.TypeCode, w.issued.Identifier.AuthorityCode(), "9999999999", 1)
	must(t, err)
	day := func(n int) licence.Date { return licence.DateOf(s.Now().AddDate(0, 0, n)) }
	for name, c := range map[string]struct {
		change func(*registry.CopyRequest)
		code   string
	}{
		"only data granted":     {func(q *registry.CopyRequest) { q.Use.Case, q.Use.Matter = "data", "data" }, "forbidden"},
		"no grant":              {func(q *registry.CopyRequest) { q.Use.Case, q.Use.Matter = "none", "none" }, "forbidden"},
		"another holder's case": {func(q *registry.CopyRequest) { q.Use.Case = "holder" }, "case_mismatch"},
		"no such licence":       {func(q *registry.CopyRequest) { q.Identifier = nobody }, "case_mismatch"},
		"another type's case":   {func(q *registry.CopyRequest) { q.Use.Case = "type" }, "case_mismatch"},
		"another matter":        {func(q *registry.CopyRequest) { q.Use.Matter = "data" }, "case_mismatch"},
		"unknown case":          {func(q *registry.CopyRequest) { q.Use.Case = "unknown" }, "case_unknown"},
		"closed case":           {func(q *registry.CopyRequest) { q.Use.Case = "closed" }, "case_closed"},
		"no purpose":            {func(q *registry.CopyRequest) { q.Use.Purpose = "" }, "purpose_missing"},
		"empty phrase":          {func(q *registry.CopyRequest) { q.Use.Purpose = "业务需要" }, "invalid_request"},
		"purpose unprintable":   {func(q *registry.CopyRequest) { q.Use.Purpose = "核对经营许可与主体\U0003FFFD" }, "invalid_request"},
		"no operator":           {func(q *registry.CopyRequest) { q.Use.Operator = "" }, "purpose_missing"},
		"no key":                {func(q *registry.CopyRequest) { q.Key = "" }, "idempotency_key_missing"},
		"no identifier":         {func(q *registry.CopyRequest) { q.Identifier = "1.2.3" }, "invalid_request"},
		"yesterday":             {func(q *registry.CopyRequest) { q.ValidTo = day(-1) }, "invalid_request"},
		"beyond the case":       {func(q *registry.CopyRequest) { q.ValidTo = day(40) }, "invalid_request"},
	} {
		q := w.copyOf("c")
		c.change(&q)
		made, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), q)
		if registry.Code(err) != c.code || made.Copy != "" {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	for _, who := range []registry.Caller{w.approval, w.holder, w.registrar(), registry.Anonymous("test"), registrytest.Approver(w.issued.TypeCode), {Principal: "a", Roles: []registry.Role{registry.RoleAuditor}}} {
		if _, _, err := s.MakeCopy(t.Context(), who, w.copyOf("c")); !errors.Is(err, registry.ErrForbidden) {
			t.Errorf("%s: %v", who.Principal, err)
		}
	}
	if _, _, err := s.Reuse(t.Context(), registrytest.Partner(), registry.ReuseRequest{Holder: w.holder.Holder, TypeCode: w.issued.TypeCode,
		Fields: []string{registry.FieldCopy}, Use: w.copyOf("c").Use}); registry.Code(err) != "invalid_request" {
		t.Errorf("a reuse of the field: %v", err)
	}
	last := day(3)
	q := w.copyOf("c")
	q.ValidTo = last
	if made, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), q); err != nil || made.ExpiresOn != last {
		t.Errorf("to %s: %+v, %v", last, made, err)
	}
	_, _, err = s.Suspend(t.Context(), w.approval, w.issued.Identifier, w.status())
	must(t, err)
	if _, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), w.copyOf("c")); !errors.Is(err, licence.ErrWrongStatus) {
		t.Errorf("of a suspended licence: %v", err)
	}
}

// TestCopySealFault: without a seal in use nothing is reserved.
func TestCopySealFault(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	config := s.Config
	config.Annotator = nil
	without, err := registry.New(config)
	must(t, err)
	if _, _, err := without.MakeCopy(t.Context(), registrytest.Partner(), w.copyOf("c")); !errors.Is(err, registry.ErrNoSeal) {
		t.Errorf("nobody makes copies: %v", err)
	}
	_, err = s.ChangeSeal(t.Context(), walkSystem, s.Config.Annotator.Seal.Seal.ID, registry.SealSuspended, "r")
	must(t, err)
	if _, _, err := s.MakeCopy(t.Context(), registrytest.Partner(), w.copyOf("c")); !errors.Is(err, registry.ErrNoSeal) {
		t.Errorf("the seal is suspended: %v", err)
	}
	for _, e := range loggedEntries(t, s) {
		if e.Action == registry.ActionCopySeal || e.Action == registry.ActionCopy && e.Result == audit.ResultAllowed {
			t.Errorf("%s was allowed", e.Action)
		}
	}
	config = s.Config
	large := *config.Annotator.Seal
	large.Appearance.Width, large.Appearance.Height = 170, 170
	config.Annotator = &registry.Annotator{Authority: registrytest.Platform, Strip: config.Annotator.Strip, Seal: &large}
	if _, err := registry.New(config); err == nil {
		t.Error("a seal that leaves the strip was accepted")
	}
}

// TestCopyFetched: a copy is its receiver's until its last day is over, and nobody else's.
func TestCopyFetched(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	made, _ := w.copied(w.copyOf("c"))
	colleague := registrytest.Partner()
	colleague.Principal = "colleague"
	if _, _, err := s.GetCopy(t.Context(), colleague, made.Copy, registry.Use{}); err != nil {
		t.Errorf("another client of the department: %v", err)
	}
	stranger, unplaced, braked := registrytest.Partner(), registrytest.Partner(), registrytest.Partner()
	stranger.Authority.Code, unplaced.Authority = "11330100002490170T", licence.IssuingAuthority{}
	braked.Brake.Standing = true
	for name, c := range map[string]struct {
		who  registry.Caller
		id   licence.CopyID
		code string
	}{
		"another department": {stranger, made.Copy, "not_found"}, "no department": {unplaced, made.Copy, "not_found"},
		"another name": {registrytest.Partner(), "00000000000000000000000000000000", "not_found"}, "no name": {registrytest.Partner(), "", "not_found"},
		"holder": {w.holder, made.Copy, "forbidden"}, "anybody": {registry.Anonymous("test"), made.Copy, "forbidden"},
		"authority": {w.approval, made.Copy, "forbidden"}, "braked": {braked, made.Copy, "braked"},
	} {
		if file, _, err := s.GetCopy(t.Context(), c.who, c.id, registry.Use{}); registry.Code(err) != c.code || file != nil {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	s.Move(made.ExpiresOn.EndsAt().Sub(s.Now()) - time.Second)
	if _, _, err := s.GetCopy(t.Context(), registrytest.Partner(), made.Copy, registry.Use{}); err != nil {
		t.Errorf("on the last day: %v", err)
	}
	s.Move(2 * time.Second)
	if file, _, err := s.GetCopy(t.Context(), registrytest.Partner(), made.Copy, registry.Use{}); !errors.Is(err, registry.ErrCopyExpired) || file != nil {
		t.Errorf("when it is over: %v", err)
	}
}

// TestCopyVerified: what is said of a copy follows its licence and its own time, online and
// offline, by file and by code alone; an expired one, one that the register has not, and a
// code on another file are never green.
func TestCopyVerified(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	made, file := w.copied(w.copyOf("c"))
	_, other := w.copied(w.copyOf("c"))
	original, _, err := w.Download(t.Context(), w.holder, w.issued.Identifier, registry.Use{})
	must(t, err)
	text := w.symbolOf(file)
	for name, in := range map[string]verify.Input{"file": {File: file}, "file and code": {File: file, QR: text}, "code": {QR: text}} {
		r := w.asked(in)
		zh, _ := r.Headline()
		if !r.Green() || r.Copy == nil || r.Copy.ReceiverCode != registrytest.Department.Code || r.Copy.Cause != purpose || r.Check(verify.CheckCopy).Code != "copy_ok" ||
			r.Check(verify.CheckRegister).Code != "registered" || !strings.Contains(zh, "加注件") || !strings.Contains(zh, registrytest.Department.Name) || !strings.Contains(zh, made.ExpiresOn.String()) {
			t.Errorf("%s: %s, %s, %+v\n%+v", name, zh, r.Indication, r.Copy, r.Checks)
		}
	}
	offline := (&verify.Verifier{Anchors: w.PKI.Anchors}).VerifyFile(t.Context(), file, s.Now())
	if offline.Indication != verify.TotalPassed || offline.Copy == nil || offline.Green() {
		t.Errorf("offline: %+v", offline)
	}
	for name, c := range map[string]struct {
		in    verify.Input
		check verify.Name
		code  string
	}{
		"another copy's code":              {verify.Input{File: file, QR: w.symbolOf(other)}, verify.CheckQR, "qr_text_of_other_file"},
		"a copy's code, the licence":       {verify.Input{File: original, QR: text}, verify.CheckQR, "qr_text_of_other_file"},
		"the licence's code, a copy":       {verify.Input{File: file, QR: w.symbolOf(original)}, verify.CheckQR, "qr_text_of_other_file"},
		"the licence is no copy of itself": {verify.Input{File: original}, verify.CheckCopy, ""},
	} {
		r := w.asked(c.in)
		if r.Check(c.check).Code != c.code || r.Green() != (c.code == "") {
			t.Errorf("%s: %s, green %t", name, r.Check(c.check).Code, r.Green())
		}
	}
	_, _, err = s.Revoke(t.Context(), w.approval, w.issued.Identifier, w.status())
	must(t, err)
	for name, in := range map[string]verify.Input{"file": {File: file}, "code": {QR: text}} {
		r := w.asked(in)
		if zh, _ := r.Headline(); r.Green() || r.LicenceState != licence.StatusRevoked || !strings.Contains(zh, "原证照当前已被吊销") {
			t.Errorf("%s of a revoked licence: %s, %s", name, zh, r.LicenceState)
		}
	}
	s.Move(made.ExpiresOn.EndsAt().Sub(s.Now()))
	for name, in := range map[string]verify.Input{"file": {File: file}, "code": {QR: text}} {
		r := w.asked(in)
		if zh, _ := r.Headline(); r.Green() || r.Indication != verify.Indeterminate || r.Check(verify.CheckCopy).Code != "copy_expired" || !r.ExpiredCopy() || !strings.Contains(zh, "已过有效期") {
			t.Errorf("%s when its time is over: %s, %s\n%+v", name, zh, r.Indication, r.Checks)
		}
	}
}

// refusing is a storage that takes no file while down.
type refusing struct {
	registry.Files
	down bool
}

func (f *refusing) Put(ctx context.Context, digest [32]byte, data []byte) error {
	if f.down {
		return errors.New("disk full")
	}
	return f.Files.Put(ctx, digest, data)
}

// TestCopyCrash: what stops between the steps leaves a reserved copy that nobody finds and no
// verification calls registered; the retry goes on with it, and with the same data.
func TestCopyCrash(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	config, files := s.Config, &refusing{Files: s.Config.Files, down: true}
	var sealed []byte
	config.Files = files
	check := config.Check
	config.Check = func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		sealed = f.Attachments["licence.json"]
		return check(ctx, f, at)
	}
	r, err := registry.New(config)
	must(t, err)
	q := w.copyOf("c")
	if _, _, err := r.MakeCopy(t.Context(), registrytest.Partner(), q); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatalf("without storage: %v", err)
	}
	l, err := licence.ParseData(sealed)
	must(t, err)
	if _, _, err := s.GetCopy(t.Context(), registrytest.Partner(), l.Copy.ID, registry.Use{}); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("an unfinished copy: %v", err)
	}
	_, err = s.Verify(t.Context(), registry.Anonymous("test"), func() [32]byte { return [32]byte{} }, func(look registry.Lookup) registry.Verdict {
		if _, err := look.ByCopy(t.Context(), l.Copy.ID); !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("a look-up of it: %v", err)
		}
		return registry.Verdict{}
	})
	must(t, err)
	files.down = false
	if _, _, err := r.MakeCopy(t.Context(), registrytest.Partner(), q); !errors.Is(err, registry.ErrRunning) {
		t.Errorf("while the first may still run: %v", err)
	}
	s.Move(registry.Lease + time.Second)
	made, _, err := r.MakeCopy(t.Context(), registrytest.Partner(), q)
	if sum := sm3.Sum(sealed); err != nil || made.Copy != l.Copy.ID || made.DataDigest != hex.EncodeToString(sum[:]) {
		t.Errorf("the retry: %+v, %v", made, err)
	}
	if _, _, err := s.GetCopy(t.Context(), registrytest.Partner(), made.Copy, registry.Use{}); err != nil {
		t.Error(err)
	}
}

// TestCopyPictures: in the place of the issuing authority's seal stands a picture, and no
// signature but the maker's.
func TestCopyPictures(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	_, file := w.copied(w.copyOf("c"))
	parts, err := verify.Inspect(file)
	must(t, err)
	if parts.Seal.ID != s.Config.Annotator.Seal.Seal.ID || len(parts.CoSeals) != 0 {
		t.Errorf("sealed with %s and %d others", parts.Seal.ID, len(parts.CoSeals))
	}
	if strip := s.Config.Annotator.Strip; strip.CheckSeals([2]float64{parts.Container.Rect[2] - parts.Container.Rect[0], parts.Container.Rect[3] - parts.Container.Rect[1]}) != nil {
		t.Error("the seal has another size than the strip has room for")
	}
}
