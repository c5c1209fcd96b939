package verify

import "strings"

// externalReason holds the codes of files that another platform made; those that begin with
// "ofd_" carry a code of crypto/ofd.
func externalReason(code string) (r reason, ok bool) {
	switch code {
	case "external_structure_ok":
		r = passed("这是其他平台制作的文件，可以读取其中的签章。", "The file was made by another platform, and its signatures can be read.")
	case "external_unsigned":
		r = indeterminate(SignedDataNotFound, "这是其他平台制作的文件，里面没有电子签章，无法判断真伪。请到颁发机构的平台查验。",
			"The file was made by another platform and bears no signature. Verify it at the issuing authority's platform.")
	case "external_signature_unread":
		r = indeterminate(SigConstraintsFailure, "文件里有一个签章无法读取，不能完整验证。请用签署该文件的系统验证，或向颁发机构核实。",
			"One of the file's signatures cannot be read. Verify the file with the system that signed it, or ask the issuing authority.")
	case "external_coverage_ok":
		r = passed("签章的签署范围包括文件的全部内容；内容是否改动见“文件内容完整性”。", "The signatures are set over all of the file; whether the content was changed, the check of the content says.")
	case "external_partly_covered":
		r = indeterminate(SigConstraintsFailure, "文件里有签章没有保护的内容，可能是签署之后添加的。请到颁发机构的平台查验。",
			"The file has content that no signature protects; it may have been added later. Verify it at the issuing authority's platform.")
	case "external_content_changed":
		r = failed(HashFailure, "文件内容在签署之后被改动过，或者缺少了一部分。"+askZH, "The content was changed, or a part removed, after the file was signed. "+askEN)
	case "external_content_weak":
		r = indeterminate(CryptoConstraintsFailure, "文件的签章没有采用国家规定的密码标准，这里不认可。请向颁发机构核实。",
			"The signature does not follow the national standards of cryptography and is not accepted here; ask the issuing authority.")
	case "external_content_variant":
		r = indeterminate(SigConstraintsFailure, "文件的签章用另一种方法计算文件内容，与国家标准不同，不能完整认定。请向颁发机构核实。",
			"The signature refers to the content in a way that departs from the standard. Ask the issuing authority.")
	case "external_signature_ok":
		r = passed("数字签名核对无误。", "The digital signature checks out.")
	case "external_no_seal":
		r = notChecked("文件用数字签名签署，没有电子印章。请看对数字签名的检查。", "The file bears a digital signature and no seal. See the check of the signature.")
	case "external_seal_deviates":
		r = indeterminate(SigConstraintsFailure, "电子印章的写法与国家标准不同，不能完整认定。请用制作印章的厂商的软件验证，或向颁发机构核实。",
			"The seal departs from the standard in its form. Verify it with its maker's software, or ask the issuing authority.")
	case "external_signer_other_authority":
		r = indeterminate(SigConstraintsFailure, "签署文件的单位不是登记的颁发机构。请向颁发机构核实它是否委托了这个单位。",
			"Another body signed the file than the issuing authority on record. Ask that authority whether it has entrusted the other.")
	case "external_data_ok":
		r = passed("文件自带的证照数据与登记的一致。", "The data in the file agree with what is on record.")
	case "external_data_differs":
		r = indeterminate(SigConstraintsFailure, "文件自带的证照数据与登记的不同。请向登记的机构和颁发机构核实。", "The data in the file differ from what is on record. Ask whoever recorded it, and the issuing authority.")
	case "external_not_on_record":
		r = indeterminate(NoPOE, "这是其他平台制作的文件，这里没有登记，不知道应由谁签发，不能认定是证照。请到颁发机构的平台查验。",
			"The file was made by another platform and is not on record here, so it is not known who should have issued it. Verify it at the issuing authority's platform.")
	case "not_in_external":
		r = notChecked("这是其他平台制作的文件，没有这一项。请看其他各项检查。", "The file was made by another platform, so there is nothing to check here. See the other checks.")
	case "registered_external":
		r = passed("这份文件由其他平台签发，已登记在证照库里，与登记的完全一致。", "Another platform issued this file; it is exactly the one that was imported into the register.")
	case "register_external_differs":
		r = indeterminate(NoPOE, "证照库里登记有其他平台签发的这张证照，但登记的是另一份文件。请到颁发机构的平台查验。",
			"The register holds this licence of another platform with another file. Verify it at the issuing authority's platform.")
	case "ofd_encrypted":
		r = failed(FormatFailure, "文件被加了密码，无法验证。请持证人提供未加密的原件。", "The file is encrypted and cannot be verified. Ask the holder for the original.")
	case "ofd_file_size", "ofd_limit":
		r = failed(FormatFailure, "文件太大，或者展开后太大，这里不读取。请到颁发机构的平台查验。", "The file is too large, or unpacks to too much, to be read here. Verify it at the issuing authority's platform.")
	default:
		if strings.HasPrefix(code, "ofd_") {
			r = failed(FormatFailure, "这不是完整的版式文件，可能已损坏或被改动。请持证人从颁发机构的平台重新下载原件。",
				"This is no sound document file; it is damaged or was altered. Ask the holder to download the original from the issuing authority's platform again.")
		}
	}
	return r, r.result != ""
}
