package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"elicence/crypto/pdfsig"
	"elicence/licence"
)

// LicenceFile is the current file of a licence, for operations: it makes no entry. That the
// storage has none under its digest is a fault of the storage: the register says that there
// is one.
func (g *Gate) LicenceFile(ctx context.Context, rec Record) ([]byte, error) {
	file, err := g.stored(ctx, rec.File.Digest)
	if err == nil && rec.Importer == "" {
		err = ownFile(file, rec.Data)
	} else if err == nil {
		err = g.foreignFile(ctx, file)
	}
	if err != nil {
		return nil, fmt.Errorf("the file of %s: %w", rec.Identifier, err)
	}
	return file, nil
}

func (g *Gate) stored(ctx context.Context, digest [32]byte) ([]byte, error) {
	file, err := g.cfg.Files.Get(ctx, digest)
	if errors.Is(err, licence.ErrNotFound) {
		return nil, fmt.Errorf("%w: %x is not in it", ErrFiles, digest)
	}
	return file, err
}

// ownFile says whether a file is that of a licence, or of a copy, with these data, which are
// sealed to their row. The digest that leads to the file is not: whoever could write to the
// database would otherwise get the file of one licence given out, and logged, as another's.
func ownFile(file, data []byte) error {
	f, err := pdfsig.Read(file)
	if err == nil && !bytes.Equal(f.Attachments["licence.json"], data) {
		err = errors.New("it is another's")
	}
	if err != nil {
		return fmt.Errorf("%w: the register names a file that cannot be meant: %w", ErrFiles, err)
	}
	return nil
}

// foreignFile says whether a file may be one that another platform issued: it is no licence
// that is issued here.
func (g *Gate) foreignFile(ctx context.Context, file []byte) error {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil // of another form than ours
	}
	l, err := licence.ParseData(f.Attachments["licence.json"])
	if err != nil {
		return nil
	}
	rec, err := g.cfg.Store.Licence(ctx, l.Identifier)
	switch {
	case err == nil && rec.Importer == "":
		return fmt.Errorf("%w: the register names the file of %s, which is issued here, as another platform's", ErrFiles, l.Identifier)
	case err != nil && !errors.Is(err, licence.ErrNotFound):
		return err
	}
	return nil
}

// asSealed reports whether type, division and origin of a record are those of its data, which
// are sealed to their row as these columns are not: whoever could write them would otherwise
// bring the licence of another authority within reach. The division of another platform's
// licence is the importer's, and stands in the column alone.
func (r *Record) asSealed() bool {
	l, err := licence.ParseData(r.Data)
	if err != nil {
		return false
	}
	external := l.Origin == licence.OriginExternal
	return l.TypeCode == r.TypeCode && external == (r.Importer != "") && (external || l.Authority.Division == r.Division)
}

// asSealed reports the same of receiver and last day of a copy.
func (c *CopyRecord) asSealed() bool {
	l, err := licence.ParseData(c.Data)
	return err == nil && l.Copy != nil && l.Copy.Receiver.Code == c.Receiver && l.Copy.ExpiresOn == c.ExpiresOn
}
