package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"strconv"
	"strings"

	"elicence/licence/registry"
)

// macTable is a table whose rows decide access, or what is answered of a licence. Each row
// carries HMAC-SM3, keyed like the look-ups, of the table's name and the columns here, as they are
// stored; the first names the row, and is its key unless page is given. Whoever can write to the database and lacks the key
// can alter, swap or insert no row that is taken for the register's. What they can do is take a
// row away, or put it back as it was before.
type macTable struct {
	name    string
	columns []string
	// mac is the column of the MAC; empty for mac.
	mac string
	// page is the key of the row where the first column is not; empty where it is.
	page string
}

var (
	grantTable = macTable{name: "reuse_grant", columns: strings.Fields(`id authority_name authority_code division type_code matter_code scenario fields masked questions how legal_basis
		valid_from valid_to status requested_by requested_at approved_by approved_at withdrawn_by withdrawn_at reason requested_person approved_person withdrawn_person`)}
	caseTable   = macTable{name: "reuse_case", columns: strings.Fields(`id authority_code case_number matter_code matter_name holder_code holder_code_type types opened_at valid_to closed_at`)}
	clientTable = macTable{name: "client", columns: strings.Fields(`id secret_hash salt roles authority_name authority_code division holder_code holder_code_type disabled types daily_reuses
		old_secret_hash old_salt old_until authentication person`)}
	clientKeyTable = macTable{name: "client_key", columns: strings.Fields(`key_id client public_key valid_from valid_until ended_at`)}
	personTable    = macTable{name: "person", columns: strings.Fields(`id issuer subject subject_index name roles authority_name authority_code division types active_from active_until disabled`)}
	consentTable   = macTable{name: "holder_consent", columns: strings.Fields(`id holder_index holder_code holder_code_type kind licences fields purpose receiver receiver_name uses used made_at ends_at revoked_at`)}

	// What a licence is reserved with stays. The rest changes, without the first being read again, and
	// so has a MAC of its own: but for the lease, which decides no more than who finishes it. The
	// sealed columns are bound to their row, and each is written once.
	licenceTable = macTable{name: "licence", columns: strings.Fields(`identifier number_index type_code authority_code division version holder_code_type holder_index data_digest client idempotency_key
		case_number created_at operation supersedes issued_on effective_on expires_on catalogue_version importer`)}
	standingTable = macTable{name: "licence", columns: strings.Fields(`identifier status status_reason status_at file_digest`), mac: "standing_mac"}
	fileTable     = macTable{name: "licence_file", columns: strings.Fields(`identifier digest range_digest size timestamped timestamped_at sealed_at created_at`), page: "id"}
	statusTable   = macTable{name: "licence_status", columns: strings.Fields(`identifier status reason case_number at`), page: "id"}

	macTables     = []macTable{grantTable, caseTable, clientTable, clientKeyTable, personTable, consentTable}
	licenceTables = []macTable{licenceTable, standingTable, fileTable, statusTable}
)

func (t macTable) macColumn() string { return cmp.Or(t.mac, "mac") }

// selection selects the columns and the MAC.
func (t macTable) selection() string {
	return `SELECT ` + strings.Join(t.columns, ", ") + `, ` + t.macColumn() + ` FROM ` + t.name + ` `
}

// insertion inserts a row of the columns and the MAC.
func (t macTable) insertion() string {
	return `INSERT INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `, ` + t.macColumn() + `) VALUES ($1` + morePlaceholders(2, len(t.columns)+1) + `) `
}

// mac is the MAC of a row; values, or pointers to them, are in the order of the columns.
func (s Secrets) mac(t macTable, values ...any) []byte {
	b := make([]byte, 0, 512)
	for _, v := range values {
		text := columnText(v)
		b = append(strconv.AppendInt(b, int64(len(text)), 10), ':')
		b = append(b, text...)
	}
	return s.index(t.macColumn()+" of "+t.name, string(b))
}

// columnText is a column's value as the MAC covers it; NULL is as empty.
func columnText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case *string:
		return *v
	case []byte:
		return string(v)
	case *[]byte:
		return string(*v)
	case int64:
		return strconv.FormatInt(v, 10)
	case *int64:
		return strconv.FormatInt(*v, 10)
	case bool:
		return map[bool]string{false: "0", true: "1"}[v]
	case *bool:
		return columnText(*v)
	case *any:
		return columnText(*v)
	}
	return ""
}

// authentic says that a row is not as the register stored it, or nil.
func (s Secrets) authentic(t macTable, mac []byte, values ...any) error {
	if hmac.Equal(mac, s.mac(t, values...)) {
		return nil
	}
	return &registry.AlteredError{Row: t.name + "/" + columnText(values[0])}
}

// insertRow inserts a row with its MAC; conflict is what follows.
func (t *transaction) insertRow(ctx context.Context, table macTable, conflict string, values ...any) (int64, error) {
	return t.exec(ctx, table.insertion()+conflict, append(values, t.secrets.mac(table, values...))...)
}

// alterRow changes columns of the row of a key, and its MAC with them. Nothing comes between:
// batches take turns. change gets the row by column, as it is stored, and leaves it as it is to be;
// of what it adds nothing is stored. Without such a row the error is licence.ErrNotFound.
func (t *transaction) alterRow(ctx context.Context, table macTable, key string, change func(row map[string]any) error) error {
	values, dest := make([]any, len(table.columns)), make([]any, len(table.columns), len(table.columns)+1)
	for i := range values {
		dest[i] = &values[i]
	}
	var mac []byte
	if err := one(ctx, t, table.selection()+`WHERE `+table.columns[0]+` = $1`, []any{key}, append(dest, &mac)...); err != nil {
		return err
	}
	if err := t.secrets.authentic(table, mac, values...); err != nil {
		return err
	}
	row := map[string]any{}
	for i, column := range table.columns {
		row[column] = values[i]
	}
	if err := change(row); err != nil {
		return err
	}
	var sets []string
	args := []any{key}
	for i, column := range table.columns {
		if columnText(row[column]) != columnText(values[i]) {
			args = append(args, row[column])
			sets = append(sets, column+` = $`+strconv.Itoa(len(args)))
			values[i] = row[column]
		}
	}
	if len(sets) == 0 {
		return nil
	}
	args = append(args, t.secrets.mac(table, values...))
	return t.later(ctx, `UPDATE `+table.name+` SET `+strings.Join(sets, ", ")+`, `+table.macColumn()+` = $`+strconv.Itoa(len(args))+` WHERE `+table.columns[0]+` = $1`, args...)
}
