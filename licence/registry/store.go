package registry

import (
	"context"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/consent"
)

// Store keeps what the registry must remember. Reads need no transaction; every
// change but those of EventStore happens through a Tx, inside the batch that also commits its log entry.
//
// A transaction handed out by the same storage's audit side implements Tx too:
// the registry's closures receive an audit.Tx and assert it.
//
// Implementations encrypt Record.Data and holder codes at rest and look holders
// up by a keyed index. Methods return licence.ErrNotFound when there is no such row.
type Store interface {
	BatchStore
	DisputeStore
	EventStore
	PersonStore
	// Client returns a registered machine client.
	Client(ctx context.Context, id string) (Client, error)
	// ClientKey returns a registered key, ended or not, by its KeyID.
	ClientKey(ctx context.Context, keyID string) (ClientKey, error)
	// ClientKeys returns the keys of a client, in the order of ValidFrom and KeyID; with an
	// empty client those of all, by client.
	ClientKeys(ctx context.Context, client string) ([]ClientKey, error)
	// Clients returns the clients that q asks for; see ClientQuery.
	Clients(ctx context.Context, q ClientQuery) ([]Client, error)
	// Grant returns a grant by its identifier, in any status.
	Grant(ctx context.Context, id string) (Grant, error)
	// ForReuse returns what a reuse rests on.
	ForReuse(ctx context.Context, q ReuseQuery) (ReuseRecords, error)
	// Grants returns the grants that q asks for; see GrantQuery.
	Grants(ctx context.Context, q GrantQuery) ([]Grant, error)
	// Case returns a case by its identifier, closed ones too.
	Case(ctx context.Context, id string) (Case, error)
	// Copy returns an annotated copy, reserved ones too.
	Copy(ctx context.Context, id licence.CopyID) (CopyRecord, error)
	// CopyByFile returns the copy whose file has the digest.
	CopyByFile(ctx context.Context, digest [32]byte) (CopyRecord, error)
	// Brake returns a brake by its identifier, lifted ones too.
	Brake(ctx context.Context, id string) (Brake, error)
	// Brakes returns the brakes that q asks for, the newest first; see BrakeQuery.
	Brakes(ctx context.Context, q BrakeQuery) ([]Brake, error)
	// StandingBrakes counts the brakes that are not lifted, by alarm.
	StandingBrakes(ctx context.Context) (map[string]int, error)
	// Consent returns a holder's consent by its identifier, however it stands.
	Consent(ctx context.Context, id string) (consent.Consent, error)
	// Consents returns the consents that q asks for, the newest first; see ConsentQuery.
	Consents(ctx context.Context, q ConsentQuery) ([]consent.Consent, error)
	// Licence returns one licence with its current file, in any status.
	Licence(ctx context.Context, id licence.Identifier) (Record, error)
	// Licences is Licence for several, in any order; those that there are none of are left out.
	Licences(ctx context.Context, ids []string) ([]Record, error)
	// LicencesByFile returns the licences one of whose files, current or earlier, has one of
	// the whole-file digests (32 bytes each), in any order; a digest of no file is left out.
	LicencesByFile(ctx context.Context, digests []string) ([]Filed, error)
	// Search returns the licences of a holder in descending identifier order, so that of the
	// versions of one the newest comes first, after q.After.
	Search(ctx context.Context, q Query) ([]Record, error)
	// Versions returns all versions of the licence that id is a version of, pending and
	// voided ones too, in ascending order; none when there is no such licence.
	Versions(ctx context.Context, id licence.Identifier) ([]Version, error)
	// Lapsed names at most limit pending licences whose lease ended before now and whose
	// type is not among without. It reads no more of them, so that one damaged row does not
	// hide the others.
	Lapsed(ctx context.Context, now time.Time, without []string, limit int) ([]licence.Identifier, error)
	// Untimestamped names, in the same way, at most limit valid licences of our own whose
	// current file has no token.
	Untimestamped(ctx context.Context, limit int) ([]licence.Identifier, error)
	// Expired names, in the same way, at most limit valid licences whose last day is before a
	// day and which SetExpiryTold was not called for, those that ended first.
	Expired(ctx context.Context, day licence.Date, limit int) ([]licence.Identifier, error)
	// EachNotValid calls fn with every licence whose status is not valid, in ascending
	// identifier order. Pending and voided ones are among them: a trust list must name
	// whatever is not valid, even a file that never left the house. The valid ones, nearly
	// all there are, are not read.
	EachNotValid(ctx context.Context, fn func(licence.Identifier, licence.Status) error) error
	// Import returns what was found of a licence of another platform when it, or its file,
	// came last; licence.ErrNotFound when there is nothing.
	Import(ctx context.Context, id licence.Identifier) (Import, error)
	// Seal returns a seal by its identifier; licence.ErrNotFound when there is none.
	Seal(ctx context.Context, id string) (SealRecord, error)
	// SealStage is Seal without the SESeal, which is large: it is asked twice for every
	// licence.
	SealStage(ctx context.Context, id string) (SealRecord, error)
	// Seals returns all seals, ordered by authority and identifier.
	Seals(ctx context.Context) ([]SealRecord, error)
	// SealConsent returns the standing consent for a kind of co-seal on licences of a type that
	// an authority issues; licence.ErrNotFound when there is none.
	SealConsent(ctx context.Context, typeCode, issuing, kind string) (SealConsent, error)
	// SealConsents returns all consents, ordered by type, issuing authority and kind.
	SealConsents(ctx context.Context) ([]SealConsent, error)
	// Holds returns all holds, past ones too, on what a principal does under a case number,
	// in the order in which they were placed.
	Holds(ctx context.Context, principal, caseNumber string) ([]Hold, error)
	// Shared returns the value that PutShared stored and that still lasts at now.
	Shared(ctx context.Context, kind, key string, now time.Time) ([]byte, error)
	// StatusAsOf returns the status a licence had at an instant, with the change that led
	// to it.
	StatusAsOf(ctx context.Context, id licence.Identifier, at time.Time) (Past, error)
	// FileAsOf returns the newest file that a licence had at an instant.
	FileAsOf(ctx context.Context, id licence.Identifier, at time.Time) (File, error)
	// Counts counts licences; see statistics.Register.Count. The order is by measure, type,
	// division and month.
	Counts(ctx context.Context, q CountQuery) ([]Count, error)
	// History returns the statuses of a licence, newest first, at most limit.
	History(ctx context.Context, id licence.Identifier, limit int) ([]Past, error)
	// Openings returns at most limit entries of a log, archived ones too, with their openings
	// and without their records: those from from on and below to whose opening is there, in
	// ascending order.
	Openings(ctx context.Context, logID string, from, to uint64, limit int) ([]audit.Row, error)
	// CatalogueChange returns how often the catalogue was changed; 0 while it holds nothing.
	CatalogueChange(ctx context.Context) (int64, error)
	// CatalogueVersions returns all versions of a type, or of every type when it is empty,
	// ordered by type and version.
	CatalogueVersions(ctx context.Context, typeCode string) ([]CatalogueVersion, error)
	// CatalogueFiles returns what a version is made of; licence.ErrNotFound when there is none.
	CatalogueFiles(ctx context.Context, typeCode string, version int) (CatalogueFiles, error)
	// NewestLicences returns at most limit licences of our own of a type that have a file, those
	// reserved last first, of a division's subtree or, when it is empty, of all.
	NewestLicences(ctx context.Context, typeCode, division string, limit int) ([]Record, error)
	// HeldSince returns when the oldest of the holds that are in force at an instant was
	// placed; zero when there is none.
	HeldSince(ctx context.Context, now time.Time) (time.Time, error)
}

// Tx changes the register. All of it commits with the log entry of the same
// operation or not at all. No method has an effect outside the transaction,
// because a batch is run again whole after a serialization failure. Under a savepoint BindKey,
// AnswerKey, InsertLicence, InsertVersion, Issue, and TakeKey for a new licence, may presume that they
// succeed, as audit.Tx.Savepoint says: a batch that is run again gets their errors.
type Tx interface {
	BatchTx
	DisputeTx
	EventTx
	PersonTx
	// PutClient registers a client, or replaces it. Of its Brake nothing is stored.
	PutClient(ctx context.Context, c Client) error
	// SetAuthentication changes what a client must use; licence.ErrNotFound when there is none.
	SetAuthentication(ctx context.Context, client string, a Authentication) error
	// InsertClientKey registers a key; ErrKeyTaken when it is registered already.
	InsertClientKey(ctx context.Context, k ClientKey) error
	// EndClientKey ends a key at an instant; licence.ErrNotFound when there is none, or it
	// ended already.
	EndClientKey(ctx context.Context, keyID string, at time.Time) error
	// TakeNonce keeps a digest until an instant, for one owner; ErrReplayed when another
	// took it. The same owner may take it again. What lasted until now or less is forgotten
	// by and by.
	TakeNonce(ctx context.Context, digest [32]byte, owner [16]byte, now, until time.Time) error
	// InsertClient registers a client that is new; ErrClientTaken when its identifier exists, be
	// it in other letters, of which ASCII's alone are compared: identifiers have no others.
	InsertClient(ctx context.Context, c Client) error
	// RotateClient gives a client a new secret; the present one becomes the old one, good
	// until an instant. licence.ErrNotFound when there is no such client.
	RotateClient(ctx context.Context, id string, salt, hash []byte, oldUntil time.Time) error
	// DisableClient disables one; licence.ErrNotFound when there is none.
	DisableClient(ctx context.Context, id string) error
	// InsertGrant stores a grant that is new.
	InsertGrant(ctx context.Context, g Grant) error
	// Grant reads a grant inside the transaction.
	Grant(ctx context.Context, id string) (Grant, error)
	// UpdateGrant stores status, reason, and who approved and withdrew a grant when, principal and person;
	// licence.ErrWrongStatus when its status is not from.
	UpdateGrant(ctx context.Context, g Grant, from GrantStatus) error
	// InsertCase stores a case that is new; ErrCaseTaken when its department has one of that number.
	InsertCase(ctx context.Context, k Case) error
	// CloseCase closes a case; licence.ErrWrongStatus when it is none that is open.
	CloseCase(ctx context.Context, id string, at time.Time) error
	// Basis tells how what a reuse rests on stands inside the transaction, and counts one use of
	// its consent if that stands at an instant. Of several at once no more succeed than it has uses left.
	Basis(ctx context.Context, b Basis, at time.Time) (BasisState, error)
	// CountQuestions adds to what was asked in vain in a case, by the names of the questions;
	// ErrQuestionsSpent, and nothing is added, when one of all that are named has as many as
	// most before that.
	CountQuestions(ctx context.Context, caseID string, add map[string]int, most int) error
	// InsertConsent stores a holder's consent that is new.
	InsertConsent(ctx context.Context, c consent.Consent) error
	// RevokeConsent revokes one at an instant; licence.ErrWrongStatus when it is none that stands.
	RevokeConsent(ctx context.Context, id string, at time.Time) error
	// InsertCopy stores a copy that is new and has no file yet.
	InsertCopy(ctx context.Context, c CopyRecord) error
	// Copy reads a copy inside the transaction.
	Copy(ctx context.Context, id licence.CopyID) (CopyRecord, error)
	// SetCopyFile enters the file of a copy; licence.ErrWrongStatus when it has one, or there is no such copy.
	SetCopyFile(ctx context.Context, id licence.CopyID, f File) error
	// CountReuses adds to what all servers have counted of a client since its last brake was
	// lifted, forgets what was counted before a time, and returns the sums, in the same order.
	CountReuses(ctx context.Context, client string, lifted time.Time, add []brake.Count, before time.Time) ([]int64, error)
	// InsertBrake stores a brake; ErrBraked when one of its client stands.
	InsertBrake(ctx context.Context, b Brake) error
	// LiftBrake stores who lifted a brake, when and why; licence.ErrWrongStatus when it is none that stands.
	LiftBrake(ctx context.Context, b Brake) error
	// TakeKey claims an idempotency key for k.Client until k.LeaseUntil. When
	// the key is new, or its lease lapsed before now while unanswered, it is
	// k's; the returned Claim says which, with the identifier the first attempt
	// reserved, or k's own. A key that is still leased or already answered is returned as
	// it stands; the caller compares digests.
	TakeKey(ctx context.Context, k Key, now time.Time) (Claim, error)
	// BindKey notes which licence, or copy, a claimed key reserved.
	BindKey(ctx context.Context, client, key string, id licence.Identifier) error
	// ReleaseKey forgets a claimed key that has no answer, so that it is as new.
	ReleaseKey(ctx context.Context, client, key string) error
	// AnswerKey stores the answer of a claimed key.
	AnswerKey(ctx context.Context, client, key string, answer []byte) error
	// InsertSeal enters a seal; ErrSealTaken when its identifier exists.
	InsertSeal(ctx context.Context, s SealRecord) error
	// UpdateSeal replaces Status, Reason and At of a seal, DER and RecordNumber when they
	// are not empty, and notes the change. licence.ErrWrongStatus when its status is not
	// among from.
	UpdateSeal(ctx context.Context, s SealRecord, from []SealStatus) error
	// PutSealConsent registers a consent, or replaces the one for the same type, issuing
	// authority and kind.
	PutSealConsent(ctx context.Context, c SealConsent) error
	// DropSealConsent ends one; licence.ErrNotFound when there is none.
	DropSealConsent(ctx context.Context, typeCode, issuing, kind string) error
	// PutHold stores a hold, or replaces the one for the same principal and case that was
	// placed at the same instant; licence.ErrNotFound when that was lifted meanwhile.
	PutHold(ctx context.Context, h Hold) error
	// EraseOpenings erases the openings of log entries, and that the log finds them by their
	// holder.
	EraseOpenings(ctx context.Context, logID string, indexes []uint64, holder audit.Key) error
	// PutShared keeps a value under kind and key until an instant, in place of the one
	// before, and forgets what lasted until now or less. Kinds are few and stand in clear.
	PutShared(ctx context.Context, kind, key string, value []byte, now, until time.Time) error
	// TakeShared removes a value that still lasts at now; licence.ErrNotFound when there is none.
	TakeShared(ctx context.Context, kind, key string, now time.Time) error
	// InsertCatalogueVersion stores a version of a licence type with its files;
	// ErrVersionTaken when there is one of that number, or another that is published.
	InsertCatalogueVersion(ctx context.Context, v CatalogueVersion, files CatalogueFiles) error
	// MoveCatalogueVersion moves a version from one stage to another;
	// ErrWrongStage when it is not in the first.
	MoveCatalogueVersion(ctx context.Context, typeCode string, version int, from, to Stage, by, reason string, at time.Time) error
	// PutSegment records a segment of a log, which begins where the one before it ends.
	PutSegment(ctx context.Context, logID string, s audit.Segment) error
	// NextNumber returns the next value, from 1, of the counter named series; it
	// is consumed when the transaction commits.
	NextNumber(ctx context.Context, series string) (int64, error)
	// RaiseNumber makes a counter that has begun pass over all values up to n.
	RaiseNumber(ctx context.Context, series string, n int64) error
	// NumberTaken reports whether a licence of that type and authority, issued here or
	// imported, has the number.
	NumberTaken(ctx context.Context, typeCode, authority, number string) (bool, error)
	// SkipNumbers makes every counter, those that have not begun included, pass over so
	// many values: a lost part of the log may have given them out.
	SkipNumbers(ctx context.Context, n uint64) error
	// InsertLicence stores a pending licence. licence.ErrNumberTaken when its
	// identifier, or its number within the same type and authority, exists.
	InsertLicence(ctx context.Context, r Record) error
	// InsertVersion is InsertLicence of a version that keeps the number of the one it
	// supersedes: the number is not compared. licence.ErrNumberTaken also when another
	// version, that is not voided, supersedes the same one.
	InsertVersion(ctx context.Context, r Record) error
	// InsertImport notes what was found of a licence of another platform.
	InsertImport(ctx context.Context, i Import) error
	// LastVersion returns the highest version of the licence that id is a version of,
	// pending and voided ones included.
	LastVersion(ctx context.Context, id licence.Identifier) (Version, error)
	// Licence reads a licence inside the transaction (locking its row where the engine can).
	Licence(ctx context.Context, id licence.Identifier) (Record, error)
	// SetStatus moves a licence from one of several statuses to another and appends the
	// change to its history. licence.ErrWrongStatus when its status is not among from.
	SetStatus(ctx context.Context, id licence.Identifier, from []licence.Status, to licence.Status, c Change) error
	// SetExpiryTold notes that it was told that a valid licence has expired;
	// licence.ErrWrongStatus when it is not valid, or that is noted already.
	SetExpiryTold(ctx context.Context, id licence.Identifier) error
	// Issue makes a pending licence valid and f its file: SetStatus and SetFile in one change.
	Issue(ctx context.Context, id licence.Identifier, f File, c Change) error
	// SetFile makes f the current file of a licence; earlier files stay on record.
	SetFile(ctx context.Context, id licence.Identifier, f File) error
	// Lease extends the lease of a pending licence to until, if its present lease ended
	// before now; ErrRunning when somebody else holds it.
	Lease(ctx context.Context, id licence.Identifier, now, until time.Time) error
}

// Files keeps licence files by content.
type Files interface {
	// Put stores data under its SM3 digest, which the caller has; under a wrong one the file is
	// never found. When it returns, the file is durable. Storing the same bytes twice is not
	// an error.
	Put(ctx context.Context, digest [32]byte, data []byte) error
	// Get returns the file; licence.ErrNotFound when there is none. What it returns has been
	// compared with the digest.
	Get(ctx context.Context, digest [32]byte) ([]byte, error)
}

// Client is a registered machine caller.
type Client struct {
	// ID is the OAuth 2.0 client identifier, which is also the principal in the log.
	ID string
	// SecretHash is SM3 over the salt and the secret, as HashSecret makes it.
	SecretHash []byte
	// Salt is the random prefix of the hashed secret.
	Salt []byte
	// Roles say what the client may do.
	Roles []Role
	// Authority is whom the client acts for; its division bounds what it reaches.
	Authority licence.IssuingAuthority
	// Types are the codes of the licence types that an approval system issues and reads.
	Types []string
	// HolderCode and HolderCodeType name the holder that a client of role holder acts for; else empty.
	HolderCode     string
	HolderCodeType licence.HolderCodeType
	// Disabled clients get no token and no answer.
	Disabled bool
	// Person is the identifier of who answers for the client; empty when nobody is named.
	Person string
	// Authentication is what the client must use.
	Authentication Authentication
	// DailyReuses is how many reuses a day are usual for the client, from which the brake
	// takes its measure; 0 is brake.DefaultReuses.
	DailyReuses int64
	// OldSecretHash and OldSalt are those of the secret before a rotation, which is good
	// until OldUntil; empty and zero when there is none.
	OldSecretHash, OldSalt []byte
	OldUntil               time.Time
	// Brake is whether the client is braked, and when it was last let go; read, never stored
	// with the client.
	Brake BrakeState
}

// Record is a licence as the register holds it.
type Record struct {
	Identifier licence.Identifier
	Number     string
	TypeCode   string
	// AuthorityCode is the USCC of the issuing authority, Division its six-digit code.
	AuthorityCode string
	Division      string
	Version       int
	// Operation is what made a version after the first, Supersedes the version before.
	Operation  licence.Operation
	Supersedes licence.Identifier
	// SupersededBy is the version that was issued in this one's place; empty while there is
	// none. InsertLicence does not look at it: it is the other end of Supersedes.
	SupersededBy licence.Identifier
	Holder       licence.Holder
	// Data is licence.json: canonical JSON, the exact bytes attached to the file.
	Data []byte
	// DataDigest is SM3 of Data.
	DataDigest [32]byte
	// CatalogueVersion is the version of its type that the licence was made by; 0: what the
	// program shipped before the register kept versions.
	CatalogueVersion int
	// IssuedOn, EffectiveOn and ExpiresOn are those of Data, for counting.
	IssuedOn, EffectiveOn, ExpiresOn licence.Date
	// Status is the stored status; expiry is derived from the data's dates.
	Status       licence.Status
	StatusReason string
	StatusAt     time.Time
	// File is the current file; its zero value means that there is none yet.
	File File
	// Client and IdempotencyKey name the request that reserved the licence, CaseNumber its case.
	Client, IdempotencyKey, CaseNumber string
	CreatedAt                          time.Time
	// LeaseUntil is when somebody else may finish a pending licence.
	LeaseUntil time.Time
	// Importer is the USCC of the authority that entered a licence of another platform, whose
	// division is then Division; empty for our own.
	Importer string
}

// File is one file of a licence.
type File struct {
	// Digest is SM3 of the whole file; zero when there is no file.
	Digest [32]byte
	// RangeDigest is SM3 of the bytes the seal covers, the same before and after a timestamp upgrade.
	RangeDigest [32]byte
	// Size is in bytes.
	Size int64
	// Timestamped says that the seal signature carries a token, TimestampedAt its time.
	Timestamped   bool
	TimestampedAt time.Time
	// SealedAt is the time of the log entry that permitted the seal.
	SealedAt  time.Time
	CreatedAt time.Time
}

// Filed is a licence and one of its files, current or earlier.
type Filed struct {
	Record Record
	File   File
}

// Change is the reason and circumstances of a change of status.
type Change struct {
	Reason     string
	CaseNumber string
	At         time.Time
}

// Past is a status that a licence has, or had, from Change.At on.
type Past struct {
	Status licence.Status
	Change
}

// Version is one version of a licence.
type Version struct {
	Identifier licence.Identifier
	Status     licence.Status
}

// Query asks for the licences of a holder.
type Query struct {
	Holder   licence.Holder // Code and CodeType are used
	Types    []string       // type codes; empty: all
	Division string         // empty, or the division whose subtree is searched
	After    licence.Identifier
	Limit    int
	// Issued leaves out pending and voided licences.
	Issued bool
	// AsOf leaves out what had not been issued at that instant; zero: nothing. What a store
	// returns is as it is now all the same.
	AsOf time.Time
}

// Key is an idempotency key with the digest of the request it was first used with.
type Key struct {
	Client, Key string
	Body        [32]byte
	LeaseUntil  time.Time
	// Identifier is what is to be reserved under the key, if nothing was so far; empty when
	// BindKey will say it.
	Identifier licence.Identifier
}

// Claim is the state of an idempotency key after TakeKey.
type Claim struct {
	// Mine says that the caller holds the key now.
	Mine bool
	// Body is the digest the key was first used with.
	Body [32]byte
	// Identifier is what an earlier attempt reserved; empty when nothing was.
	Identifier licence.Identifier
	// Answer is the stored answer, nil while there is none.
	Answer []byte
}
