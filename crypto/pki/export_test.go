package pki

// MaxIterations lets a test ask for one more.
const MaxIterations = maxIterations
