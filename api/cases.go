package api

import (
	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// parseCase reads a body of POST /cases.
func parseCase(body []byte) (registry.CaseRequest, error) {
	return parseJSON(body, func(r *reader) registry.CaseRequest {
		holder := r.sub("holder")
		return registry.CaseRequest{Body: sm3.Sum(append([]byte("cases\n"), body...)), Operator: r.text("operator", maxText), Case: registry.Case{
			Number: r.required("case_number", maxText), MatterCode: r.required("matter_code", maxText), MatterName: r.required("matter_name", maxText),
			Holder: licence.Holder{Code: holder.required("code", maxCode), CodeType: licence.HolderCodeType(holder.required("code_type", maxCodeType))},
			Types:  r.texts("types", 20, maxType), ValidTo: r.date("valid_to"),
		}}
	})
}

// openCase registers a case.
func (x *exchange) openCase(q registry.CaseRequest) (a registry.CaseState, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	return x.cfg.Registry.OpenCase(x.r.Context(), x.caller, q)
}
