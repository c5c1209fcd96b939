package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"elicence/licence"
)

// consentTable24 is consentTable as migration 24 knew it, whose MACs did not cover how often a
// consent was used.
var (
	consentTable24 = macTable{name: consentTable.name, columns: slices.DeleteFunc(slices.Clone(consentTable.columns), func(c string) bool { return c == "used" })}
	tables24       = []macTable{grantTable, caseTable, clientTable, clientKeyTable, personTable, consentTable24}
)

// macMigrations are the migrations that give the rows there are their MACs, each in one transaction
// with the columns: a row that has none later was not stored by the register. column is the type
// of those, and what the rows of before have in them meanwhile.
func macMigrations(s Secrets, column string, grants map[int64]string) goose.ProviderOption {
	return goose.WithGoMigrations(
		macMigration(24, grants[24], func(ctx context.Context, tx *sql.Tx) error { return s.addMACs(ctx, tx, tables24, column) },
			func(ctx context.Context, tx *sql.Tx) error { return dropMACs(ctx, tx, tables24) }),
		macMigration(26, grants[26], func(ctx context.Context, tx *sql.Tx) error {
			if err := s.dateOldLicences(ctx, tx); err != nil {
				return err
			}
			if err := s.addMACs(ctx, tx, licenceTables, column); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DROP INDEX licence_undated`); err != nil {
				return err
			}
			return s.remac(ctx, tx, consentTable24, consentTable)
		}, func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `CREATE INDEX licence_undated ON licence (identifier) WHERE issued_on = ''`); err != nil {
				return err
			}
			if err := dropMACs(ctx, tx, licenceTables); err != nil {
				return err
			}
			return s.remac(ctx, tx, consentTable, consentTable24)
		}),
	)
}

func macMigration(version int64, grant string, up, down func(context.Context, *sql.Tx) error) *goose.Migration {
	granted := func(ctx context.Context, tx *sql.Tx) error {
		err := up(ctx, tx)
		if err == nil && grant != "" {
			_, err = tx.ExecContext(ctx, grant)
		}
		return err
	}
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: granted}, &goose.GoFunc{RunTx: down})
}

func (s Secrets) addMACs(ctx context.Context, tx *sql.Tx, tables []macTable, column string) error {
	for _, t := range tables {
		if _, err := tx.ExecContext(ctx, `ALTER TABLE `+t.name+` ADD COLUMN `+t.macColumn()+` `+column); err != nil {
			return err
		}
		if err := s.macRows(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

func dropMACs(ctx context.Context, tx *sql.Tx, tables []macTable) error {
	for _, t := range tables {
		if _, err := tx.ExecContext(ctx, `ALTER TABLE `+t.name+` DROP COLUMN `+t.macColumn()); err != nil {
			return err
		}
	}
	return nil
}

// macRows gives all rows of a table their MACs.
func (s Secrets) macRows(ctx context.Context, tx *sql.Tx, t macTable) error {
	key, last := t.columns[0], any("")
	if t.page != "" {
		key, last = t.page, int64(0)
	}
	query := `SELECT ` + strings.Join(append([]string{key}, t.columns...), ", ") + ` FROM ` + t.name + ` WHERE ` + key + ` > $1 ORDER BY ` + key + ` LIMIT $2`
	update := `UPDATE ` + t.name + ` SET ` + t.macColumn() + ` = $2 WHERE ` + key + ` = $1`
	return eachRow(ctx, tx, query, last, func(row []any) error {
		_, err := tx.ExecContext(ctx, update, row[0], s.mac(t, row[1:]...))
		return err
	})
}

// remac gives the rows of a table the MACs of another form of it, whose columns it has or which has
// its columns. A row that is not as it was stored keeps the one that it has, and so stays refused.
func (s Secrets) remac(ctx context.Context, tx *sql.Tx, from, to macTable) error {
	all := append([]string{from.columns[0]}, from.columns...)
	all = append(append(all, to.columns...), from.macColumn())
	query := `SELECT ` + strings.Join(all, ", ") + ` FROM ` + from.name + ` WHERE ` + from.columns[0] + ` > $1 ORDER BY ` + from.columns[0] + ` LIMIT $2`
	update := `UPDATE ` + to.name + ` SET ` + to.macColumn() + ` = $2 WHERE ` + to.columns[0] + ` = $1`
	return eachRow(ctx, tx, query, "", func(row []any) error {
		old, rest := row[1:1+len(from.columns)], row[1+len(from.columns):]
		if s.authentic(from, []byte(columnText(rest[len(to.columns)])), old...) != nil {
			return nil
		}
		_, err := tx.ExecContext(ctx, update, row[0], s.mac(to, rest[:len(to.columns)]...))
		return err
	})
}

// eachRow hands over rows in pages, of a query with a key to begin behind and a limit, whose first
// column is that key.
func eachRow(ctx context.Context, tx *sql.Tx, query string, last any, fn func(row []any) error) error {
	for {
		page, err := pageOf(ctx, tx, query, last)
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := fn(row); err != nil {
				return err
			}
			last = row[0]
		}
		if len(page) < maxRows {
			return nil
		}
	}
}

func pageOf(ctx context.Context, tx *sql.Tx, query string, last any) (page [][]any, err error) {
	rows, err := tx.QueryContext(ctx, query, last, maxRows)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		page = append(page, row)
	}
	return page, rows.Err()
}

// dateOldLicences copies the dates of licences that are older than their columns. Data that
// cannot be read have none.
func (s Secrets) dateOldLicences(ctx context.Context, tx *sql.Tx) error {
	query := `SELECT identifier, data FROM licence WHERE issued_on = '' AND identifier > $1 ORDER BY identifier LIMIT $2`
	return eachRow(ctx, tx, query, "", func(row []any) error {
		id := columnText(row[0])
		data, err := s.open(place{"licence.data", id}, []byte(columnText(row[1])))
		if err != nil {
			return err
		}
		l, err := licence.ParseData(data)
		if err != nil {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE licence SET issued_on = $2, effective_on = $3, expires_on = $4 WHERE identifier = $1`,
			id, l.IssuedOn.String(), l.EffectiveOn.String(), l.ExpiresOn.String())
		return err
	})
}
