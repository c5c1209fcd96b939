package api

import (
	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// parseCopy reads a body of POST /reuse/copies.
func parseCopy(body []byte) (registry.CopyRequest, error) {
	return parseJSON(body, func(r *reader) registry.CopyRequest {
		return registry.CopyRequest{
			Body: sm3.Sum(append([]byte("copies\n"), body...)), Identifier: licence.Identifier(r.required("identifier", 160)), ValidTo: r.date("valid_to"),
			Use: r.caseUse((*reader).required),
		}
	})
}

// makeCopy makes an annotated copy of a licence.
func (x *exchange) makeCopy(q registry.CopyRequest) (a registry.CopyMade, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	return x.cfg.Registry.MakeCopy(x.r.Context(), x.caller, q)
}

// copyFile downloads an annotated copy.
func (x *exchange) copyFile() (func(), audit.Receipt, error) {
	use, err := x.use()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	id, err := licence.ParseCopyID(x.name)
	if err != nil {
		return nil, audit.Receipt{}, errNoIdentifier
	}
	file, receipt, err := x.cfg.Registry.GetCopy(x.r.Context(), x.caller, id, use)
	return func() { x.pdf("copy-"+licence.Identifier(id), file) }, receipt, err
}
