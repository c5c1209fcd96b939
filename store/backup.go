package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"elicence/internal/durable"
)

// Backup copies the database as it stands into a new file, durable and readable for its
// owner only, beside the reads and writes of other processes; batches of this one wait.
// Personal values stay sealed in it.
func (s *SQLite) Backup(ctx context.Context, file string) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // SQLite takes an empty file
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	if _, err := s.writer.db.ExecContext(ctx, `VACUUM INTO $1`, file); err != nil {
		return fmt.Errorf("copying the database: %w", sqliteError(err))
	}
	return errors.Join(f.Sync(), durable.Sync(filepath.Dir(file)))
}
