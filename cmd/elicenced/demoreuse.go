package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"elicence/internal/durable"
	"elicence/licence"
)

// grant has the partner's department get a grant of data, and one of copies.
func (w *walk) grant(ctx context.Context, _ []sample) error {
	err := w.grantOne(ctx, "", `"number","status","expires_on","holder.name","authority.name","fields.business_items"`)
	if err == nil {
		err = w.grantOne(ctx, "-copy", `"copy"`)
	}
	return err
}

// grantOne has the partner's department request a grant, and the platform approve it.
func (w *walk) grantOne(ctx context.Context, suffix, fields string) error {
	requester, err := w.as(ctx, demoRequester)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"type_code":%q,"matter_code":%q,"scenario":"演示：社会保险登记核验经营许可","how":"function",
		"fields":[%s],"legal_basis":"演示：社会保险登记核验经营许可"}`, demoType, demoMatter, fields)
	var grant struct {
		ID string `json:"id"`
	}
	if err := requester.post(ctx, "/grants", "demo-grant"+suffix, body, &grant); err != nil {
		return fmt.Errorf("requesting a grant: %w", err)
	}
	approver, err := w.as(ctx, demoApprover)
	if err == nil {
		err = approver.post(ctx, "/grants/"+grant.ID+"/approve", "demo-approve"+suffix, []byte("{}"), nil)
	}
	if err != nil {
		return fmt.Errorf("approving the grant: %w", err)
	}
	fmt.Printf("granted  %s, by %s\n", demoPartner+suffix, demoApprover)
	return nil
}

// openCase registers a case of today, for the reuse of today and a copy of a month.
func (w *walk) openCase(ctx context.Context, holder, codeType string) (number string, err error) {
	c, err := w.as(ctx, demoRegistrar)
	if err != nil {
		return "", err
	}
	today := licence.DateOf(time.Now())
	number = "DEMO-" + today.String()
	body, err := json.Marshal(map[string]any{
		"case_number": number, "matter_code": demoMatter, "matter_name": "社会保险登记", "valid_to": licence.DateOf(time.Now().AddDate(0, 0, 30)),
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
		"purpose": demoPurpose, "case_number": aCase, "matter_code": demoMatter, "operator": "demo",
	})
	if err != nil {
		return err
	}
	var answer struct {
		Licences []struct {
			Identifier licence.Identifier `json:"identifier"`
			Status     licence.Status     `json:"status"`
			Fields     map[string]any     `json:"fields"`
		} `json:"licences"`
	}
	if err := c.post(ctx, "/reuse", "", body, &answer); err != nil {
		return fmt.Errorf("reusing: %w", err)
	}
	for _, l := range answer.Licences {
		fmt.Printf("reused   a licence that is %s, %d granted field(s)\n", l.Status, len(l.Fields))
		if l.Status == licence.StatusValid {
			w.reused = l.Identifier
		}
	}
	return nil
}

// demoPurpose is what the partner reuses for.
const demoPurpose = "演示：为经营者办理社会保险登记"

// copyOne has an annotated copy of what was reused made for the case, and fetches it.
func (w *walk) copyOne(ctx context.Context, _ []sample) error {
	if !w.in.registry.MakesCopies() {
		fmt.Printf("skipped  annotated copy: %s was made before there was a seal for them (docs/seals.md); a new folder has it\n", w.dir)
		return nil
	}
	if w.reused == "" { // whoever tried the demo has suspended or revoked it
		fmt.Println("skipped  annotated copy: the holder of the reused licence has none that is valid any more")
		return nil
	}
	c, err := w.as(ctx, demoPartner)
	if err != nil {
		return err
	}
	today := licence.DateOf(time.Now())
	body, err := json.Marshal(map[string]any{"identifier": w.reused, "purpose": demoPurpose,
		"case_number": "DEMO-" + today.String(), "matter_code": demoMatter, "operator": "demo"})
	if err != nil {
		return err
	}
	var made struct {
		Copy      string `json:"copy"`
		ExpiresOn string `json:"expires_on"`
	}
	if err := c.post(ctx, "/reuse/copies", "demo-copy-"+today.String()+"-"+string(w.reused), body, &made); err != nil {
		return fmt.Errorf("making an annotated copy: %w", err)
	}
	file, err := c.get(ctx, "/reuse/copies/"+made.Copy)
	if err != nil {
		return fmt.Errorf("fetching the annotated copy: %w", err)
	}
	const name = "annotated-copy.pdf"
	fmt.Printf("copied   %s, to %s\n", name, made.ExpiresOn)
	return durable.Replace(filepath.Join(w.dir, name), file)
}
