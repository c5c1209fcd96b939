package registry

import (
	"context"
	"errors"

	"elicence/audit"
)

// ActionAltered is an entry of the service's own: what stands in it as object, a table of the
// database and the key of a row, is not as the register stored it.
const ActionAltered audit.Action = "record_altered"

// errAltered is what every AlteredError is.
var errAltered = errors.New("what the register keeps about this was altered outside of it, so that it opens nothing until it is put right")

// AlteredError says that a row of the database that decides access, a grant, a case, a
// client, a key of it or a consent, or what is answered of a licence, is not as the register stored it: changed, swapped or inserted.
type AlteredError struct {
	// Row is its table and key, as table/key.
	Row string
}

// Error names the row.
func (e *AlteredError) Error() string { return errAltered.Error() + ": " + e.Row }

// Is reports whether target is errAltered.
func (e *AlteredError) Is(target error) bool { return target == errAltered }

// altered logs, for the auditor, a row that was met and is not as it was stored: once while
// this server runs, for each refusal that it leads to is an entry too. err is any.
func (g *Gate) altered(ctx context.Context, err error) {
	var row *AlteredError
	if !errors.As(err, &row) {
		return
	}
	if _, known := g.alteredRows.LoadOrStore(row.Row, true); known {
		return
	}
	code := Code(err)
	if _, err := g.refused(ctx, System(code), &Access{Action: ActionAltered, Object: row.Row}, code); err != nil {
		g.alteredRows.Delete(row.Row) // to be logged the next time
	}
}
