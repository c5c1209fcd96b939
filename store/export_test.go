package store

import "context"

// OpenS3Within is OpenS3 with another bound on each Put and Get.
var OpenS3Within = openS3

// SetPartitionSpan sets how many entries the partitions hold that migrations make from now on.
func SetPartitionSpan(n int64) { partitionSpan = n }

// Expired is the query of licences that have expired.
const Expired = expired

// ReuseQueries are what a reuse looks up by.
var ReuseQueries = map[string]string{
	"grant by department, type and matter": grantsFor, "case by number": selectCase,
	"licence by holder": searchLicences, "licence by identifier": selectLicence + `WHERE l.identifier = $1`, "licences by identifiers": selectLicences,
}

// MACTables are the tables whose rows carry a MAC, with the columns that it covers.
func MACTables() map[string][]string {
	tables := map[string][]string{}
	for _, t := range macTables {
		tables[t.name] = t.columns
	}
	return tables
}

// LicenceMACs are the tables of licences whose rows carry a MAC, by table and column of the MAC.
func LicenceMACs() map[string]Guarded {
	tables := map[string]Guarded{}
	for _, t := range licenceTables {
		tables[t.name+"."+t.macColumn()] = Guarded{t.name, t.columns}
	}
	return tables
}

// Guarded is a table, and the columns that a MAC covers.
type Guarded struct {
	Table   string
	Columns []string
}

// DownTo undoes the migrations above a version.
func (s *SQLite) DownTo(ctx context.Context, version int64) error {
	provider, err := s.migrations()
	if err == nil {
		_, err = provider.DownTo(ctx, version)
	}
	return err
}

// DownTo undoes the migrations above a version.
func (p *Postgres) DownTo(ctx context.Context, version int64) error {
	provider, closed, err := p.migrations()
	if err != nil {
		return err
	}
	defer func() { _ = closed() }()
	_, err = provider.DownTo(ctx, version)
	return err
}
