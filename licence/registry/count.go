package registry

import "elicence/licence"

// MeasureExpiring is the measure of valid licences that will soon expire.
const MeasureExpiring = "expiring"

// Count is how many licences of a type and a division a measure counts.
//
// By month of their day of issue: "issued", first versions, and each operation that makes a
// new version, by its name. By month of the change, in Asia/Shanghai: "revoked", "withdrawn",
// "cancelled". As they are now, without a month: "valid", of which "expiring", "not_yet_valid",
// "expired", "suspended". What was never issued is not counted.
type Count struct {
	Measure, TypeCode, Division string
	// Origin is licence.OriginExternal of those that other platforms issued, which are counted
	// where they were imported.
	Origin string
	Month  string // YYYY-MM, or empty
	Count  int64
}

// CountQuery is a StatisticsQuery whose fields are all set.
type CountQuery struct {
	Types []string
	// Division is the one whose subtree is counted.
	Division string
	From, To licence.Date
	// Today decides what has expired, Soon is the last day that counts as expiring.
	Today, Soon licence.Date
}
