package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// The actions of imports, as they stand in the access log.
const (
	ActionImport     audit.Action = "import"
	ActionReadImport audit.Action = "read_import"
)

var (
	// ErrExternal: another platform issued the licence, and only that makes versions of it.
	ErrExternal = errors.New("another platform issued this licence: its new versions, and its evidence, come from there")
	// ErrImported: the register holds the licence already, with another file or other data.
	ErrImported = errors.New("the register holds a licence of this identifier with another file, or with other data")
	// ErrImportInvalid: a signature of the file is wrong, and no reason was given to enter it all the same.
	ErrImportInvalid = errors.New("the file was altered, or its signature is wrong; with override_reason it is imported all the same")
)

// ImportVerdict is what was found of an imported file.
type ImportVerdict string

// The verdicts.
const (
	// ImportValid: signed by the issuing authority, and unaltered.
	ImportValid ImportVerdict = "valid"
	// ImportIndeterminate: nothing is wrong, and not all could be proved.
	ImportIndeterminate ImportVerdict = "indeterminate"
	// ImportInvalid: the file was altered, or its signature is wrong.
	ImportInvalid ImportVerdict = "invalid"
	// ImportNoFile: no file came.
	ImportNoFile ImportVerdict = "no_file"
)

// Judgement is what was found of a file that is to be imported.
type Judgement struct {
	Verdict ImportVerdict
	// Codes are the reasons for the verdict, stable; none for ImportValid.
	Codes []string
	// Report is the verification report, JSON.
	Report []byte
}

// Import is what is kept of how a licence of another platform came into the register.
type Import struct {
	Identifier licence.Identifier
	At         time.Time
	// Given, Platform, Existing and Override are those of licence.ImportRequest.
	Given, Platform string
	Existing        bool
	Override        string
	Verdict         ImportVerdict
	// Report is the verification report at that time, JSON; empty without a file.
	Report []byte
}

// ImportRequest asks for an import.
type ImportRequest struct {
	// Key is the Idempotency-Key, Body the request as it came (licence.ParseImport).
	Key  string
	Body []byte
	// File is the licence file as it came, PDF or OFD; nil when there is none.
	File []byte
}

// Imported is the answer to an import; it is stored with the key.
type Imported struct {
	Identifier licence.Identifier `json:"identifier"`
	Number     string             `json:"number"`
	TypeCode   string             `json:"type_code"`
	Origin     licence.Origin     `json:"origin"`
	Status     licence.Status     `json:"status"`
	// Given is the identifier of the other platform where Identifier is one of the register's own making.
	Given string `json:"given_identifier,omitempty"`
	// Supersedes is the version, imported before, whose place this one took.
	Supersedes licence.Identifier `json:"supersedes,omitempty"`
	Existing   bool               `json:"existing"`
	Verdict    ImportVerdict      `json:"verdict"`
	Codes      []string           `json:"codes"`
	DataDigest string             `json:"data_digest"`
	FileDigest string             `json:"file_digest,omitempty"`
	ImportedAt time.Time          `json:"imported_at"`
	// Repeated says that the register held all of it before.
	Repeated bool `json:"repeated"`
}

// importing is one import on its way.
type importing struct {
	licence.ImportRequest
	Judgement
	file   []byte
	rec    Record
	answer Imported
	// old is the version, imported before, whose place this one takes; empty for none.
	old       licence.Identifier
	oldHolder licence.Holder
}

// Import enters a licence that another platform issued, with its file as it came. It is
// never sealed or drawn here. The same once more changes nothing. A licence that was entered
// without a file gets the file that comes with the same data; any other file or data under
// its identifier is ErrImported. A higher version of the same identifier takes the place of the one that
// was imported before, when that is valid. Errors: *licence.RequestError, ErrForbidden, ErrImported, ErrImportInvalid,
// licence.ErrNumberTaken, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
//
// The file is stored before the entry commits, and after all of it was tried: what is refused
// leaves none. A crash in between, or another import that comes first meanwhile, leaves a file that
// nothing refers to.
func (r *Registry) Import(ctx context.Context, c Caller, q ImportRequest) (Imported, audit.Receipt, error) {
	i := importing{file: q.File}
	body := sm3.Sum(q.Body)
	if q.File != nil {
		file := sm3.Sum(q.File)
		body = sm3.Sum(append(body[:], file[:]...))
	}
	a := &Access{Action: ActionImport, Digest: body[:], PurposeField: "override_reason"}
	a.Check = func() error {
		err := r.checkImport(ctx, c, q, &i)
		if i.Licence != nil {
			a.Object, a.Holder = string(i.Licence.Identifier), i.Licence.Holder
			a.Use = Use{Purpose: i.Override, Case: i.Case.Number, Matter: i.Case.MatterCode, Operator: i.Case.Operator}
			a.Code = string(i.Verdict)
		}
		if i.old != "" {
			a.Before = []*Access{{Action: ActionSupersede, Object: string(i.old), Holder: i.oldHolder, Use: Use{Purpose: "imported " + string(i.Licence.Identifier), Case: i.Case.Number}}}
		}
		if err == nil && i.file != nil {
			err = r.keepImported(ctx, c, a, &i)
		}
		return err
	}
	a.Apply = func(ctx context.Context, tx Tx, e *audit.Entry) error {
		return r.gate.Once(ctx, tx, c, q.Key, body, e, &i.answer, func() error { return r.enterImport(ctx, tx, &i) })
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	return i.answer, receipt, err
}

// errTried undoes what was tried.
var errTried = errors.New("tried")

// keepImported stores the file of an import, once its entry was tried in a transaction that is undone.
func (r *Registry) keepImported(ctx context.Context, c Caller, a *Access, i *importing) error {
	if err := a.checkUse(); err != nil {
		return err
	}
	trial := *a
	trial.Apply = func(ctx context.Context, tx Tx, e *audit.Entry) error {
		return cmp.Or(a.Apply(ctx, tx, e), errTried)
	}
	if _, err := r.gate.append(ctx, c, &trial); !errors.Is(err, errTried) {
		return err
	}
	i.answer = Imported{}
	if err := r.cfg.Files.Put(ctx, i.rec.File.Digest, i.file); err != nil {
		return fmt.Errorf("storing the file: %w", err)
	}
	return nil
}

// checkImport decides an import.
func (r *Registry) checkImport(ctx context.Context, c Caller, q ImportRequest, i *importing) (err error) {
	if err := CheckKey(q.Key); err != nil {
		return err
	}
	all := r.editions.Load()
	i.ImportRequest, err = licence.ParseImport(q.Body, all.current, c.Authority.Division, r.today())
	if l := i.Licence; l != nil && l.TypeCode != "" && !slices.Contains(c.Types, l.TypeCode) {
		return fmt.Errorf("%w: the caller does not keep licences of type %s", ErrForbidden, l.TypeCode)
	}
	if err != nil {
		return err
	}
	if code := i.Licence.Authority.Code; code != c.Authority.Code && r.cfg.Seals[code] != nil {
		return fmt.Errorf("%w: %s issues its licences here itself", ErrForbidden, code)
	}
	if err := r.judgeImport(ctx, i); err != nil {
		return err
	}
	if err := r.findImported(ctx, i); err != nil {
		return err
	}
	now, l := r.now(), i.Licence
	i.rec = Record{Identifier: l.Identifier, Number: l.Number, TypeCode: l.TypeCode, Version: l.Version, AuthorityCode: l.Authority.Code,
		Division: c.Authority.Division, Importer: c.Authority.Code, Holder: l.Holder, CatalogueVersion: all.byType[l.TypeCode].version,
		IssuedOn: l.IssuedOn, EffectiveOn: l.EffectiveOn, ExpiresOn: l.ExpiresOn, Status: licence.StatusValid, StatusReason: "imported", StatusAt: now,
		Client: c.Principal, IdempotencyKey: q.Key, CaseNumber: i.Case.Number, CreatedAt: now}
	if i.old != "" {
		i.rec.Operation = licence.OpReissue
	}
	if i.rec.Data, err = l.Data(); err != nil {
		return licence.InvalidField("", licence.CodeInvalid, err.Error())
	}
	i.rec.Supersedes, i.rec.DataDigest = l.Supersedes, sm3.Sum(i.rec.Data)
	if i.file == nil {
		return nil
	}
	digest := sm3.Sum(i.file)
	i.rec.File = File{Digest: digest, RangeDigest: digest, Size: int64(len(i.file)), SealedAt: now, CreatedAt: now}
	return nil
}

// findImported finds what the register holds already: of the same file another licence, which
// is refused, the licence itself, or the version before it.
func (r *Registry) findImported(ctx context.Context, i *importing) error {
	if i.file != nil {
		digest := sm3.Sum(i.file)
		switch filed, err := r.cfg.Store.LicencesByFile(ctx, []string{string(digest[:])}); {
		case err != nil:
			return err
		case len(filed) > 0 && filed[0].Record.Identifier != i.Licence.Identifier:
			return ErrImported
		}
		if _, err := r.cfg.Store.CopyByFile(ctx, digest); !errors.Is(err, licence.ErrNotFound) {
			return cmp.Or(err, ErrImported) // an annotated copy is no licence
		}
	}
	known, err := r.cfg.Store.Licence(ctx, i.Licence.Identifier)
	if err == nil {
		i.Licence.Supersedes = known.Supersedes // so that the same data are found to be the same
		return nil
	}
	versions, fault := r.cfg.Store.Versions(ctx, i.Licence.Identifier)
	if !errors.Is(err, licence.ErrNotFound) || fault != nil {
		return errors.Join(err, fault)
	}
	if len(versions) == 0 {
		return nil
	}
	if i.old = versions[len(versions)-1].Identifier; !i.old.Precedes(i.Licence.Identifier) {
		return ErrImported
	}
	i.Licence.Supersedes = i.old
	old, err := r.cfg.Store.Licence(ctx, i.old)
	i.oldHolder = old.Holder
	return err
}

// judgeImport verifies the file as far as that goes. A file that fails is refused, unless the
// request says why it is to be entered.
func (r *Registry) judgeImport(ctx context.Context, i *importing) error {
	i.Codes = []string{}
	switch {
	case i.file == nil && !i.Existing:
		return licence.InvalidField("file", licence.CodeMissing, "is required; of a licence that has none, say that it is existing")
	case i.file == nil:
		i.Verdict = ImportNoFile
		return nil
	case r.cfg.JudgeImport == nil:
		return licence.InvalidField("file", licence.CodeNotAllowed, "cannot be judged here")
	}
	judged, err := r.cfg.JudgeImport(ctx, i.file, i.Licence)
	if err != nil {
		return err
	}
	i.Judgement = judged
	if i.Verdict == ImportInvalid && i.Override == "" {
		return &ImportFault{judged.Codes}
	}
	return nil
}

// ImportFault is ErrImportInvalid with the reasons.
type ImportFault struct{ Codes []string }

func (f *ImportFault) Error() string { return fmt.Sprintf("%v: %v", ErrImportInvalid, f.Codes) }

// Unwrap returns ErrImportInvalid.
func (f *ImportFault) Unwrap() error { return ErrImportInvalid }

// enterImport is the import itself, in the transaction of its entry.
func (r *Registry) enterImport(ctx context.Context, tx Tx, i *importing) error {
	known, err := tx.Licence(ctx, i.rec.Identifier)
	switch {
	case errors.Is(err, licence.ErrNotFound):
		if known, err = i.rec, r.enterNew(ctx, tx, i); err == nil {
			err = r.tell(ctx, tx, &i.rec, "", i.rec.CreatedAt)
		}
	case err == nil:
		err = r.again(&known, i)
		i.answer.Repeated = known.File.Digest == i.rec.File.Digest || i.rec.File.Digest == [32]byte{}
	}
	if err != nil {
		return err
	}
	if i.answered(known); i.answer.Repeated {
		return nil
	}
	if i.rec.File.Digest != [32]byte{} {
		if err := tx.SetFile(ctx, i.rec.Identifier, i.rec.File); err != nil {
			return err
		}
	}
	return tx.InsertImport(ctx, Import{Identifier: i.rec.Identifier, At: i.rec.CreatedAt, Given: i.Given, Platform: i.Platform, Existing: i.Existing,
		Override: i.Override, Verdict: i.Verdict, Report: i.Report})
}

// again compares what comes with what the register holds: the same, or the file that was
// still to come.
func (r *Registry) again(known *Record, i *importing) error {
	same := known.Importer == i.rec.Importer && known.DataDigest == i.rec.DataDigest
	lacking := known.File.Digest == [32]byte{} || i.rec.File.Digest == [32]byte{}
	if !same || known.File.Digest != i.rec.File.Digest && !lacking {
		return ErrImported
	}
	return nil
}

// enterNew stores a licence that is not known, in the place of its last version where that
// was imported too: valid, by the same authority.
func (r *Registry) enterNew(ctx context.Context, tx Tx, i *importing) error {
	last, err := tx.LastVersion(ctx, i.rec.Identifier)
	if errors.Is(err, licence.ErrNotFound) && i.old == "" {
		return tx.InsertLicence(ctx, i.rec)
	}
	if err != nil {
		return err
	}
	if last.Identifier != i.old { // another came meanwhile
		return ErrImported
	}
	old, err := tx.Licence(ctx, i.old)
	if err != nil {
		return err
	}
	if old.Importer != i.rec.Importer {
		return ErrImported
	}
	change := Change{Reason: "imported " + string(i.rec.Identifier), CaseNumber: i.rec.CaseNumber, At: i.rec.CreatedAt}
	if err := tx.SetStatus(ctx, i.old, []licence.Status{licence.StatusValid}, licence.StatusSuperseded, change); err != nil {
		return err
	}
	if old.Number != i.rec.Number { // a new number is compared with all others
		return tx.InsertLicence(ctx, i.rec)
	}
	return tx.InsertVersion(ctx, i.rec)
}

// answered makes the answer about the record that the register holds now.
func (i *importing) answered(rec Record) {
	repeated := i.answer.Repeated
	i.answer = Imported{Repeated: repeated, Identifier: rec.Identifier, Number: rec.Number, TypeCode: rec.TypeCode, Origin: licence.OriginExternal,
		Status: i.Licence.StatusAt(rec.Status, i.rec.CreatedAt), Supersedes: rec.Supersedes, Existing: i.Existing, Verdict: i.Verdict, Codes: i.Codes,
		DataDigest: hex.EncodeToString(rec.DataDigest[:]), ImportedAt: rec.CreatedAt}
	if i.Given != string(rec.Identifier) {
		i.answer.Given = i.Given
	}
	if i.rec.File.Digest != [32]byte{} {
		i.answer.FileDigest = hex.EncodeToString(i.rec.File.Digest[:])
	}
}

// ReadImport reads how a licence of another platform came, and the verification report of
// that time. licence.ErrNotFound for one of our own.
func (r *Registry) ReadImport(ctx context.Context, c Caller, id licence.Identifier, use Use) (Import, audit.Receipt, error) {
	rec, found := r.cfg.Store.Licence(ctx, id)
	a := &Access{Action: ActionReadImport, Object: string(id), Use: use, Holder: rec.Holder, Digest: rec.File.Digest[:]}
	a.Check = func() error {
		switch {
		case found != nil:
			return found
		case rec.Importer == "" || !(c.Reaches(&rec) || c.keeps(&rec)):
			return ErrOutOfReach
		}
		return nil
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return Import{}, receipt, err
	}
	i, err := r.cfg.Store.Import(ctx, id)
	return i, receipt, err
}

// keeps reports whether somebody decides for the authority that imported a licence.
func (c Caller) keeps(rec *Record) bool {
	return c.Has(RoleAuthority) && rec.Importer == c.Authority.Code && slices.Contains(c.Types, rec.TypeCode)
}
