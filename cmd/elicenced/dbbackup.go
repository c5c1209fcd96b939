package main

import (
	"context"
	"fmt"
	"path/filepath"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/store"
)

// actionBackupDatabase is entered before the copy, which therefore holds it.
const actionBackupDatabase audit.Action = "backup_database"

// databaseBackupCmd copies the SQLite database of an instance, beside the service.
type databaseBackupCmd struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
	Files          string `help:"S3 bucket of the licence files, as serve has it; it is not copied." env:"ELICENCE_FILES"`
	Output         string `short:"o" required:"" help:"File to write; it must not be there yet." type:"path"`
}

// Run copies.
func (b *databaseBackupCmd) Run(ctx context.Context) error {
	if b.Database != "" {
		return fmt.Errorf("%w: PostgreSQL is backed up by pg_basebackup or pg_dump (docs/operations.md)", errUsage)
	}
	keys, err := b.keys(b.PassphraseFile)
	if err != nil {
		return err
	}
	defer keys.devices.close()
	var entry audit.Receipt
	err = b.withLog(ctx, keys, func(in *instance) (err error) {
		entry, err = in.log.Append(ctx, &audit.Entry{
			Principal: registry.System("").Principal, Action: actionBackupDatabase, Object: filepath.Base(b.Output),
			Result: audit.ResultAllowed, RequestID: "elicenced database",
		}, nil)
		if err != nil {
			return err
		}
		return in.database.(*store.SQLite).Backup(ctx, b.Output)
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s: the database with its log up to entry %d; now copy the files, %s\n", b.Output, entry.Index, fileFlags{Files: b.Files}.where(b.location))
	return nil
}
