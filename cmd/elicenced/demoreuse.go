package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"elicence/licence"
)

// grantOne has the partner's department request a grant, and the platform approve it.
func (w *walk) grantOne(ctx context.Context, _ []sample) error {
	requester, err := w.as(ctx, demoRequester)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"type_code":%q,"matter_code":%q,"scenario":"演示：社会保险登记核验经营许可","how":"function",
		"fields":["number","status","expires_on","holder.name","authority.name","fields.business_items"],"legal_basis":"演示：社会保险登记核验经营许可"}`, demoType, demoMatter)
	var grant struct {
		ID string `json:"id"`
	}
	if err := requester.post(ctx, "/grants", "demo-grant", body, &grant); err != nil {
		return fmt.Errorf("requesting a grant: %w", err)
	}
	approver, err := w.as(ctx, demoApprover)
	if err == nil {
		err = approver.post(ctx, "/grants/"+grant.ID+"/approve", "demo-approve", []byte("{}"), nil)
	}
	if err != nil {
		return fmt.Errorf("approving the grant: %w", err)
	}
	fmt.Printf("granted  %s, by %s\n", demoPartner, demoApprover)
	return nil
}

// openCase registers a case of today, for the reuse of today.
func (w *walk) openCase(ctx context.Context, holder, codeType string) (number string, err error) {
	c, err := w.as(ctx, demoRegistrar)
	if err != nil {
		return "", err
	}
	today := licence.DateOf(time.Now())
	number = "DEMO-" + today.String()
	body, err := json.Marshal(map[string]any{
		"case_number": number, "matter_code": demoMatter, "matter_name": "社会保险登记", "valid_to": today,
		"holder": map[string]string{"code": holder, "code_type": codeType}, "types": []string{demoType},
	})
	if err != nil {
		return "", err
	}
	if err := c.post(ctx, "/cases", "demo-case-"+today.String(), body, nil); err != nil {
		return "", fmt.Errorf("registering a case: %w", err)
	}
	return number, nil
}

// reuseOne reads granted fields as the partner department.
func (w *walk) reuseOne(ctx context.Context, samples []sample) error {
	c, err := w.as(ctx, demoPartner)
	if err != nil {
		return err
	}
	holder := samples[slices.IndexFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoType })].asks.Holder
	aCase, err := w.openCase(ctx, holder.Code, holder.CodeType)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"holder": map[string]string{"code": holder.Code, "code_type": holder.CodeType}, "type_code": demoType,
		"purpose": "演示：为经营者办理社会保险登记", "case_number": aCase, "matter_code": demoMatter, "operator": "demo",
	})
	if err != nil {
		return err
	}
	var answer struct {
		Licences []struct {
			Fields map[string]any `json:"fields"`
		} `json:"licences"`
	}
	if err := c.post(ctx, "/reuse", "", body, &answer); err != nil {
		return fmt.Errorf("reusing: %w", err)
	}
	fmt.Printf("reused   %d licence(s), %d granted field(s) each\n", len(answer.Licences), len(answer.Licences[0].Fields))
	return nil
}
