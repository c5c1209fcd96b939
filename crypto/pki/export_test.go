package pki

// MaxIterations lets a test ask for one more.
const MaxIterations = maxIterations

// ParsedCRL and ParseCRL are how a block of the trust anchors is read.
type ParsedCRL = crl

var ParseCRL = parseCRL
