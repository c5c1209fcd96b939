package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"elicence/licence/registry"
)

// macTable is a table whose rows decide access. Each row carries HMAC-SM3, keyed like the
// look-ups, of the table's name and the columns here, as they are stored; the first is the key of the
// row. Whoever can write to the database and lacks the key can alter, swap or
// insert no row that is taken for the register's. What they can do is take a row away,
// or put it back as it was before.
type macTable struct {
	name    string
	columns []string
}

var (
	grantTable = macTable{"reuse_grant", strings.Fields(`id authority_name authority_code division type_code matter_code scenario fields masked questions how legal_basis
		valid_from valid_to status requested_by requested_at approved_by approved_at withdrawn_by withdrawn_at reason requested_person approved_person withdrawn_person`)}
	caseTable   = macTable{"reuse_case", strings.Fields(`id authority_code case_number matter_code matter_name holder_code holder_code_type types opened_at valid_to closed_at`)}
	clientTable = macTable{"client", strings.Fields(`id secret_hash salt roles authority_name authority_code division holder_code holder_code_type disabled types daily_reuses
		old_secret_hash old_salt old_until authentication person`)}
	clientKeyTable = macTable{"client_key", strings.Fields(`key_id client public_key valid_from valid_until ended_at`)}
	personTable    = macTable{"person", strings.Fields(`id issuer subject subject_index name roles authority_name authority_code division types active_from active_until disabled`)}
	// How often a consent was used is counted by the database itself, and not covered.
	consentTable = macTable{"holder_consent", strings.Fields(`id holder_index holder_code holder_code_type kind licences fields purpose receiver receiver_name uses made_at ends_at revoked_at`)}

	macTables = []macTable{grantTable, caseTable, clientTable, clientKeyTable, personTable, consentTable}
)

// selection selects the columns and the MAC.
func (t macTable) selection() string {
	return `SELECT ` + strings.Join(t.columns, ", ") + `, mac FROM ` + t.name + ` `
}

// insertion inserts a row of the columns and the MAC.
func (t macTable) insertion() string {
	return `INSERT INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `, mac) VALUES ($1` + morePlaceholders(2, len(t.columns)+1) + `) `
}

// mac is the MAC of a row; values, or pointers to them, are in the order of the columns.
func (s Secrets) mac(t macTable, values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		text := columnText(v)
		fmt.Fprintf(&b, "%d:%s", len(text), text)
	}
	return s.index("mac of "+t.name, b.String())
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
	return changed(t.exec(ctx, `UPDATE `+table.name+` SET `+strings.Join(sets, ", ")+`, mac = $`+strconv.Itoa(len(args))+` WHERE `+table.columns[0]+` = $1`, args...))
}

// rowMACs is the migration that gives the rows there are their MACs, in one transaction with the
// columns: a row that has none later was not stored by the register.
func rowMACs(s Secrets, column string, grants ...string) *goose.Migration {
	up := func(ctx context.Context, tx *sql.Tx) error {
		for _, t := range macTables {
			if _, err := tx.ExecContext(ctx, `ALTER TABLE `+t.name+` ADD COLUMN mac `+column); err != nil {
				return err
			}
			if err := s.macRows(ctx, tx, t); err != nil {
				return err
			}
		}
		for _, grant := range grants {
			if _, err := tx.ExecContext(ctx, grant); err != nil {
				return err
			}
		}
		return nil
	}
	down := func(ctx context.Context, tx *sql.Tx) error {
		for _, t := range macTables {
			if _, err := tx.ExecContext(ctx, `ALTER TABLE `+t.name+` DROP COLUMN mac`); err != nil {
				return err
			}
		}
		return nil
	}
	return goose.NewGoMigration(24, &goose.GoFunc{RunTx: up}, &goose.GoFunc{RunTx: down})
}

// macRows gives all rows of a table their MACs.
func (s Secrets) macRows(ctx context.Context, tx *sql.Tx, t macTable) error {
	key := t.columns[0]
	for last := ""; ; {
		rows, err := tx.QueryContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+` WHERE `+key+` > $1 ORDER BY `+key+` LIMIT $2`, last, maxRows)
		if err != nil {
			return err
		}
		var page [][]any
		for rows.Next() {
			values := make([]any, len(t.columns))
			dest := make([]any, len(t.columns))
			for i := range values {
				dest[i] = &values[i]
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			page = append(page, slices.Clone(values))
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for _, values := range page {
			last = columnText(values[0])
			if _, err := tx.ExecContext(ctx, `UPDATE `+t.name+` SET mac = $2 WHERE `+key+` = $1`, last, s.mac(t, values...)); err != nil {
				return err
			}
		}
		if len(page) < maxRows {
			return nil
		}
	}
}
