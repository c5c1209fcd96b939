// Judges files with BouncyCastle: its ASN.1, CMS, timestamp and SM2 code. The PDF and the QR message are read here.
//
// usage: java -cp BCPROV:BCPKIX:BCUTIL BouncyCastle.java < NAMES > VERDICTS
//
// One name a line; one verdict a line: the name, then part=verdict for each part. README.md says what the words mean.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.Signature;
import java.security.spec.AlgorithmParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.Inflater;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.SignedData;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignerDigestMismatchException;
import org.bouncycastle.cms.DefaultCMSSignatureAlgorithmNameGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.SignerInformationVerifier;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jcajce.spec.SM2ParameterSpec;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.DefaultSignatureAlgorithmIdentifierFinder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TSPException;
import org.bouncycastle.tsp.TSPValidationException;
import org.bouncycastle.tsp.TimeStampToken;

public class BouncyCastle {
    static final String SM2 = "1.2.156.10197.1.501", SM2_SIGN = "1.2.156.10197.1.301.1", SM3 = "1.2.156.10197.1.401";
    static final String SIGNED_DATA = "1.2.840.113549.1.7.2", SIGNED_DATA_GM = "1.2.156.10197.6.1.4.2.2";
    static final String DATA = "1.2.840.113549.1.7.1", DATA_GM = "1.2.156.10197.6.1.4.2.1";
    static final String SHA256 = "2.16.840.1.101.3.4.2.1", ECDSA = "1.2.840.10045.4.3.2", SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47";
    static final AlgorithmParameterSpec USER = new SM2ParameterSpec("1234567812345678".getBytes(StandardCharsets.US_ASCII));

    static class Unreadable extends Exception {
        Unreadable(String what) { super(what); }
    }

    static void need(boolean condition, String what) throws Unreadable {
        if (!condition) throw new Unreadable(what);
    }

    interface Check { boolean good() throws Exception; }

    /** The verdict on one part; whatever a reader stumbles over is unreadable. */
    static String judged(Check check) {
        try {
            return check.good() ? "good" : "bad";
        } catch (Exception e) {
            return "unreadable";
        }
    }

    /** One SEQUENCE that is exactly its DER encoding. */
    static ASN1Sequence sequence(byte[] der, int min, int max) throws Exception {
        ASN1Sequence s = ASN1Sequence.getInstance(ASN1Primitive.fromByteArray(der));
        need(Arrays.equals(s.getEncoded(ASN1Encoding.DER), der), "not DER");
        need(s.size() >= min && s.size() <= max, "number of elements");
        return s;
    }

    static ASN1Sequence sequence(ASN1Encodable e, int min, int max) throws Exception {
        return sequence(e.toASN1Primitive().getEncoded(ASN1Encoding.DER), min, max);
    }

    static byte[] der(ASN1Encodable e) throws Exception { return e.toASN1Primitive().getEncoded(ASN1Encoding.DER); }

    static byte[] octets(ASN1Encodable e) { return ASN1OctetString.getInstance(e).getOctets(); }

    static byte[] bits(ASN1Encodable e) throws Unreadable {
        ASN1BitString b = ASN1BitString.getInstance(e);
        need(b.getPadBits() == 0, "BIT STRING of whole bytes");
        return b.getBytes();
    }

    static boolean isOID(ASN1Encodable e, String... ids) {
        return Arrays.asList(ids).contains(ASN1ObjectIdentifier.getInstance(e).getId());
    }

    static byte[] sm3(byte[] data) throws Exception {
        return java.security.MessageDigest.getInstance("SM3", "BC").digest(data);
    }

    static boolean verifies(byte[] certificate, byte[] message, byte[] signature) throws Exception {
        ASN1Sequence rs = sequence(signature, 2, 2);
        for (ASN1Encodable e : rs) need(ASN1Integer.getInstance(e).getPositiveValue().bitLength() <= 256, "signature value");
        Signature s = Signature.getInstance("SM3withSM2", "BC");
        s.setParameter(USER);
        s.initVerify(converter().getCertificate(new X509CertificateHolder(certificate)).getPublicKey());
        s.update(message);
        return s.verify(signature);
    }

    static JcaX509CertificateConverter converter() { return new JcaX509CertificateConverter().setProvider("BC"); }

    /** A seal: the kind and the entries of its certificate list, and whether its maker's signature is good. */
    record Seal(int kind, ASN1Sequence listed, boolean good) {
        boolean lists(byte[] certificate) throws Exception {
            for (ASN1Encodable e : listed) {
                byte[] entry = kind == 2 ? octets(sequence(e, 2, 2).getObjectAt(1))
                    : e instanceof ASN1OctetString ? octets(e) : der(e);
                if (Arrays.equals(entry, kind == 2 ? sm3(certificate) : certificate)) return true;
            }
            return false;
        }
    }

    static Seal seal(byte[] encoded) throws Exception {
        ASN1Sequence outer = sequence(encoded, 2, 5);
        ASN1Sequence info = sequence(outer.getObjectAt(0), 4, 5);
        ASN1Sequence header = sequence(info.getObjectAt(0), 3, 3);
        int version = ASN1Integer.getInstance(header.getObjectAt(1)).intValueExact();
        need(ASN1IA5String.getInstance(header.getObjectAt(0)).getString().equals("ES"), "header");
        need(version == 1 || version == 4 || version == 5, "version");
        ASN1IA5String.getInstance(info.getObjectAt(1));
        ASN1Sequence property = sequence(info.getObjectAt(2), 6, 7);
        if (version == 1) {
            ASN1Sequence sign = sequence(outer.getObjectAt(1), 3, 3);
            byte[] signed = new DERSequence(new ASN1Encodable[] {info, sign.getObjectAt(0), sign.getObjectAt(1)}).getEncoded("DER");
            return new Seal(1, ASN1Sequence.getInstance(property.getObjectAt(2)), made(sign, 0, signed));
        }
        return new Seal(ASN1Integer.getInstance(property.getObjectAt(2)).intValueExact(),
            ASN1Sequence.getInstance(property.getObjectAt(3)), made(outer, 1, der(info)));
    }

    /** Certificate, algorithm and signature stand at i of parts. */
    static boolean made(ASN1Sequence parts, int i, byte[] signed) throws Exception {
        need(isOID(parts.getObjectAt(i + 1), SM2), "algorithm");
        return verifies(octets(parts.getObjectAt(i)), signed, bits(parts.getObjectAt(i + 2)));
    }

    /** BouncyCastle 1.72 knows 1.2.156.10197.1.501 only; frame has let no other algorithm than SM2 through. */
    static class Names extends DefaultCMSSignatureAlgorithmNameGenerator {
        @Override
        public String getSignatureName(org.bouncycastle.asn1.x509.AlgorithmIdentifier digest, org.bouncycastle.asn1.x509.AlgorithmIdentifier signature) {
            return "SM3WITHSM2";
        }
    }

    static SignerInformationVerifier verifier(X509CertificateHolder certificate) throws Exception {
        return new SignerInformationVerifier(new Names(), new DefaultSignatureAlgorithmIdentifierFinder(),
            new JcaContentVerifierProviderBuilder().setProvider("BC").build(certificate),
            new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
    }

    static boolean isAlgorithm(org.bouncycastle.asn1.x509.AlgorithmIdentifier a, String... ids) {
        ASN1Encodable p = a.getParameters();
        return isOID(a.getAlgorithm(), ids) && (p == null || DERNull.INSTANCE.equals(p.toASN1Primitive()));
    }

    /** Holds the frame, which no signature covers, to the profile of SM2 with SM3. */
    static ContentInfo frame(byte[] encoded, boolean token) throws Exception {
        return frame(encoded, token, SM3, SM2, SM2_SIGN);
    }

    static ContentInfo frame(byte[] encoded, boolean token, String digest, String... signature) throws Exception {
        sequence(encoded, 2, 2);
        ContentInfo info = ContentInfo.getInstance(encoded);
        boolean gm = isOID(info.getContentType(), SIGNED_DATA_GM);
        need(gm || isOID(info.getContentType(), SIGNED_DATA), "content type");
        SignedData signed = SignedData.getInstance(info.getContent());
        need(!token || signed.getVersion().intValueExact() == (gm ? 1 : 3), "version");
        need(signed.getDigestAlgorithms().size() == 1 && signed.getSignerInfos().size() == 1 && signed.getCRLs() == null, "frame");
        need(isAlgorithm(org.bouncycastle.asn1.x509.AlgorithmIdentifier.getInstance(signed.getDigestAlgorithms().getObjectAt(0)), digest), "digest");
        org.bouncycastle.asn1.cms.SignerInfo signer = org.bouncycastle.asn1.cms.SignerInfo.getInstance(signed.getSignerInfos().getObjectAt(0));
        need(signer.getVersion().intValueExact() == 1 && signer.getUnauthenticatedAttributes() == null, "SignerInfo");
        need(isAlgorithm(signer.getDigestAlgorithm(), digest) && isAlgorithm(signer.getDigestEncryptionAlgorithm(), signature), "algorithms");
        return info;
    }

    static X509CertificateHolder signerOf(CMSSignedData cms) throws Exception {
        SignerInformation signer = cms.getSignerInfos().getSigners().iterator().next();
        @SuppressWarnings("unchecked")
        Collection<X509CertificateHolder> found = cms.getCertificates().getMatches(signer.getSID());
        need(found.size() == 1, "signer's certificate");
        return found.iterator().next();
    }

    static boolean timestamp(byte[] encoded, byte[] message) throws Exception {
        TimeStampToken token = new TimeStampToken(frame(encoded, true));
        need(isOID(token.getTimeStampInfo().getMessageImprintAlgOID(), SM3), "imprint");
        if (!Arrays.equals(token.getTimeStampInfo().getMessageImprintDigest(), sm3(message))) return false;
        try {
            token.validate(verifier(signerOf(token.toCMSSignedData())));
            return true;
        } catch (TSPValidationException e) {
            return false;
        } catch (TSPException e) {
            if (e.getCause() instanceof CMSSignerDigestMismatchException) return false;
            throw e;
        }
    }

    /** A CMS signature over these bytes: whether it is over them, and whether it is good. */
    static Map<String, String> cms(byte[] encoded, byte[] signed) throws Exception {
        ContentInfo info = frame(encoded, false);
        CMSSignedData bare = new CMSSignedData(info);
        need(isOID(new ASN1ObjectIdentifier(bare.getSignedContentTypeOID()), DATA, DATA_GM), "content");
        byte[] content = bare.getSignedContent() == null ? null : (byte[]) bare.getSignedContent().getContent();
        SignerInformation signer = bare.getSignerInfos().getSigners().iterator().next();
        byte[] cert = signerOf(bare).getEncoded(), digest = sm3(signed), value = signer.getSignature();
        boolean over, good;
        if (signer.getSignedAttributes() == null) {
            good = verifies(cert, content == null ? signed : content, value);
            over = content == null ? good : Arrays.equals(content, digest);
        } else {
            need(attribute(signer, CMSAttributes.contentType).equals(new ASN1ObjectIdentifier(bare.getSignedContentTypeOID())), "content type attribute");
            byte[] claimed = octets(attribute(signer, CMSAttributes.messageDigest));
            over = Arrays.equals(content == null ? claimed : content, digest);
            good = (content == null || Arrays.equals(claimed, sm3(content))) && verifies(cert, signer.getEncodedSignedAttributes(), value);
        }
        Map<String, String> out = new LinkedHashMap<>();
        out.put("document", over ? "good" : "bad");
        out.put("signature", good ? "good" : "bad");
        return out;
    }

    /** The signature for readers without SM2: over these bytes, by the certificate that it binds. */
    static boolean pades(byte[] encoded, byte[] signed) throws Exception {
        CMSSignedData cms = new CMSSignedData(new CMSProcessableByteArray(signed), frame(encoded, false, SHA256, ECDSA));
        SignedData data = SignedData.getInstance(ContentInfo.getInstance(encoded).getContent());
        need(cms.getSignedContentTypeOID().equals(DATA) && data.getEncapContentInfo().getContent() == null && data.getVersion().intValueExact() == 1, "content");
        SignerInformation signer = cms.getSignerInfos().getSigners().iterator().next();
        X509CertificateHolder certificate = signerOf(cms);
        // What BouncyCastle takes in other spellings too: the name of the certificate, and the tag of the attributes.
        ASN1Sequence info = ASN1Sequence.getInstance(data.getSignerInfos().getObjectAt(0));
        ASN1Encodable[] name = {certificate.toASN1Structure().getIssuer(), new ASN1Integer(certificate.getSerialNumber())};
        need(Arrays.equals(der(info.getObjectAt(1)), new DERSequence(name).getEncoded("DER")), "signer's certificate");
        need(info.size() == 6 && ASN1TaggedObject.getInstance(info.getObjectAt(3)).getTagNo() == 0, "attributes");
        ASN1Sequence bound = sequence(sequence(sequence(attribute(signer, new ASN1ObjectIdentifier(SIGNING_CERTIFICATE)), 1, 1).getObjectAt(0), 1, 1).getObjectAt(0), 1, 1);
        byte[] hash = java.security.MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded());
        try {
            return Arrays.equals(octets(bound.getObjectAt(0)), hash) &&
                signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate));
        } catch (CMSSignerDigestMismatchException e) {
            return false;
        }
    }

    /** The one value of a signed attribute that must be there once. */
    static ASN1Encodable attribute(SignerInformation signer, ASN1ObjectIdentifier id) throws Exception {
        ASN1EncodableVector all = signer.getSignedAttributes().getAll(id);
        need(all.size() == 1, "attribute");
        ASN1Set values = Attribute.getInstance(all.get(0)).getAttrValues();
        need(values.size() == 1, "attribute value");
        return values.getObjectAt(0);
    }

    // PDF

    static String latin(byte[] b) { return new String(b, StandardCharsets.ISO_8859_1); }

    static byte[] join(byte[]... all) {
        int n = 0;
        for (byte[] b : all) n += b.length;
        byte[] out = new byte[n];
        n = 0;
        for (byte[] b : all) {
            System.arraycopy(b, 0, out, n, b.length);
            n += b.length;
        }
        return out;
    }

    /** The one match of an expression. */
    static Matcher only(String expression, String text, int from) throws Unreadable {
        Matcher m = Pattern.compile(expression).matcher(text);
        need(m.find(from), expression);
        Matcher again = Pattern.compile(expression).matcher(text);
        need(!again.find(m.end()), "twice: " + expression);
        return m;
    }

    record Container(String encoding, byte[] signed, byte[] contents) {}

    /** The signatures. Each covers the file up to the end of its revision, the last all of it. */
    static List<Container> containers(byte[] pdf, String text) throws Unreadable {
        List<Container> out = new ArrayList<>();
        int before = 0;
        Matcher m = Pattern.compile("/ByteRange\\s*\\[\\s*(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s*\\]").matcher(text);
        while (m.find()) {
            int start = Integer.parseInt(m.group(1)), a = Integer.parseInt(m.group(2)), b = Integer.parseInt(m.group(3)), c = Integer.parseInt(m.group(4));
            need(start == 0 && a > before && a < b && c > 9 && c <= pdf.length - b && text.substring(b + c - 9, b + c).matches("(?s).*\n%%EOF\r?\n"), "byte range");
            String gap = text.substring(a, b);
            need(gap.length() >= 2 && gap.charAt(0) == '<' && gap.charAt(gap.length() - 1) == '>', "gap is not one string");
            byte[] contents = unhex(gap.substring(1, gap.length() - 1));
            int end = elementEnd(contents);
            for (int i = end; i < contents.length; i++) need(contents[i] == 0, "padding is not zeros");
            String encoding = only("/SubFilter\\s*/([!-.0-~]+)", text.substring(before, a), 0).group(1);
            out.add(new Container(encoding, join(Arrays.copyOf(pdf, a), Arrays.copyOfRange(pdf, b, b + c)), Arrays.copyOf(contents, end)));
            before = b + c;
        }
        need(!out.isEmpty() && before == pdf.length, "byte range does not cover the file");
        return out;
    }

    /** The form has so many fields, each of them signed: none waits for its signature. */
    static void allSigned(String text, int n) throws Unreadable {
        String fields = only("/Fields \\[((?:\\d+ 0 R ?)+)\\]", text, 0).group(1);
        need(fields.chars().filter(c -> c == 'R').count() == n, "fields");
    }

    /** The last signature is a seal; before it stand co-seals, numbered from 1, and first of all perhaps one without SM2. */
    static Map<String, String> judgeLicence(byte[] pdf, String text) throws Exception {
        List<Container> found = containers(pdf, text);
        allSigned(text, found.size());
        Map<String, String> out = new LinkedHashMap<>();
        int n = 0;
        for (int i = 0; i < found.size(); i++) {
            Container c = found.get(i);
            if (i == 0 && found.size() > 1 && c.encoding.equals("ETSI.CAdES.detached")) {
                out.put("pades", judged(() -> pades(c.contents, c.signed)));
                continue;
            }
            need(c.encoding.equals("GM.sm2seal"), "encoding");
            Map<String, String> v = judgeSES(pdf, text, c);
            if (i == found.size() - 1) {
                out.putAll(v);
                continue;
            }
            n++;
            for (String part : List.of("document", "seal", "seal_signature", "timestamp")) out.put(n + "." + part, v.get(part));
        }
        return out;
    }

    static byte[] unhex(String s) throws Unreadable {
        byte[] out = new byte[s.length() / 2];
        need(s.length() % 2 == 0, "hex");
        for (int i = 0; i < s.length(); i++) {
            int digit = "0123456789abcdef".indexOf(s.charAt(i));
            need(digit >= 0, "lower-case hex");
            out[i / 2] = (byte) (out[i / 2] << 4 | digit);
        }
        return out;
    }

    /** Where the first DER element ends. */
    static int elementEnd(byte[] b) throws Unreadable {
        need(b.length > 6 && b[0] == 0x30, "no SEQUENCE");
        int n = b[1] & 0xff, at = 2;
        if (n > 0x80) {
            int size = n & 0x7f;
            need(size <= 3, "length");
            for (n = 0; size > 0; size--) n = n << 8 | b[at++] & 0xff;
        }
        need(at + n <= b.length, "DER ends early");
        return at + n;
    }

    static byte[] attachment(byte[] pdf, String text, String name) throws Exception {
        String number = only("/Filespec /F \\(" + Pattern.quote(name) + "\\)[^\\n]*/EF <</F (\\d+) 0 R>>", text, 0).group(1);
        Matcher head = only("\\n" + number + " 0 obj\\n<<[^\\n]*/Length (\\d+)>>\\nstream\\n", text, 0);
        Inflater inflater = new Inflater();
        inflater.setInput(pdf, head.end(), Math.min(Integer.parseInt(head.group(1)), pdf.length - head.end()));
        byte[] out = new byte[1 << 16];
        int n = inflater.inflate(out);
        need(inflater.finished(), "attached stream");
        return Arrays.copyOf(out, n);
    }

    // QR

    static class CBOR {
        final byte[] data;
        int at;

        CBOR(byte[] data) { this.data = data; }

        /** Reads a head of this major type, in its shortest form, and gives its argument. */
        int head(int major) throws Unreadable {
            need(at < data.length && (data[at] & 0xff) >> 5 == major, "CBOR type");
            int info = data[at++] & 31;
            if (info < 24) return info;
            need(info <= 25 && at + info - 23 <= data.length, "CBOR length");
            int n = data[at++] & 0xff;
            if (info == 25) n = n << 8 | data[at++] & 0xff;
            need(n >= (info == 24 ? 24 : 256), "CBOR length is not the shortest");
            return n;
        }

        byte[] bytes() throws Unreadable {
            int n = head(2);
            need(at + n <= data.length, "CBOR ends early");
            at += n;
            return Arrays.copyOfRange(data, at - n, at);
        }
    }

    static byte[] cborBytes(byte[] b) {
        int n = b.length;
        byte[] head = n < 24 ? new byte[] {(byte) (0x40 | n)} : n < 256 ? new byte[] {0x58, (byte) n} : new byte[] {0x59, (byte) (n >> 8), (byte) n};
        return join(head, b);
    }

    static boolean qr(byte[] message, byte[] certificate) throws Exception {
        CBOR c = new CBOR(message);
        need(c.head(6) == 18 && c.head(4) == 4, "QR message");
        byte[] header = c.bytes();
        need(c.head(5) == 0, "unprotected header");
        byte[] payload = c.bytes(), signature = c.bytes();
        need(c.at == message.length && signature.length == 64, "QR message");
        need(Arrays.equals(header, join(unhex("a2013a000100000448"), Arrays.copyOf(sm3(certificate), 8))), "QR header");
        byte[] signed = join("\u0084\u006aSignature1".getBytes(StandardCharsets.ISO_8859_1), cborBytes(header), cborBytes(new byte[0]), cborBytes(payload));
        BigInteger r = new BigInteger(1, Arrays.copyOf(signature, 32)), s = new BigInteger(1, Arrays.copyOfRange(signature, 32, 64));
        return verifies(certificate, signed, new DERSequence(new ASN1Encodable[] {new ASN1Integer(r), new ASN1Integer(s)}).getEncoded("DER"));
    }

    /** The bytes behind the digits of a QR text: 17 digits for 7 bytes. */
    static byte[] qrText(String text) throws Exception {
        Matcher m = Pattern.compile("HTTPS?://[-A-Z0-9.:]+/V#([0-9]+)").matcher(text);
        need(m.matches(), "QR text");
        List<Integer> digits = List.of(0, 3, 5, 8, 10, 13, 15, 17);
        byte[] out = new byte[0];
        for (int i = 0; i < m.group(1).length(); i += 17) {
            String group = m.group(1).substring(i, Math.min(i + 17, m.group(1).length()));
            int size = digits.indexOf(group.length());
            long n = Long.parseLong(group);
            need(size > 0 && n >> (8 * size) == 0, "QR digits");
            byte[] next = new byte[size];
            for (int j = size; j-- > 0; n >>= 8) next[j] = (byte) n;
            out = join(out, next);
        }
        return out;
    }

    static Map<String, String> judgeSES(byte[] pdf, String text, Container c) throws Exception {
        ASN1Sequence outer = sequence(c.contents, 4, 5);
        ASN1Sequence tbs = sequence(outer.getObjectAt(0), 5, 6);
        need(isOID(outer.getObjectAt(2), SM2), "signature algorithm");
        int version = ASN1Integer.getInstance(tbs.getObjectAt(0)).intValueExact();
        need(version == 4 || version == 5, "version");
        ASN1GeneralizedTime.getInstance(tbs.getObjectAt(2));
        ASN1IA5String.getInstance(tbs.getObjectAt(4));
        byte[] dataHash = bits(tbs.getObjectAt(3)), cert = octets(outer.getObjectAt(1)), value = bits(outer.getObjectAt(3));
        byte[] token = outer.size() < 5 ? null : bits(ASN1TaggedObject.getInstance(outer.getObjectAt(4)).getExplicitBaseObject());
        Map<String, String> out = new LinkedHashMap<>();
        out.put("document", judged(() -> Arrays.equals(dataHash, sm3(c.signed))));
        out.put("seal", judged(() -> {
            Seal s = seal(der(tbs.getObjectAt(1)));
            return s.good && s.lists(cert);
        }));
        out.put("seal_signature", judged(() -> verifies(cert, der(tbs), value)));
        out.put("timestamp", token == null ? "absent" : judged(() -> timestamp(token, value)));
        out.put("qr", judged(() -> qr(attachment(pdf, text, "qr.cbor"), attachment(pdf, text, "qr-signer.cer"))));
        return out;
    }

    /** A seal signature of another maker: its value and the seal's count as one. */
    static Map<String, String> other(Container c) throws Exception {
        Map<String, String> v = judgeSES(new byte[0], "", c), out = new LinkedHashMap<>();
        out.put("document", v.get("document"));
        for (String word : List.of("good", "bad", "unreadable")) {
            if (word.equals(v.get("seal")) || word.equals(v.get("seal_signature"))) out.put("signature", word);
        }
        return out;
    }

    static Map<String, String> judge(Path file, String kind) throws Exception {
        byte[] data = Files.readAllBytes(file);
        Map<String, String> out = new LinkedHashMap<>();
        switch (kind) {
        case "esl" -> out.put("seal", judged(() -> seal(data).good));
        case "qr" -> {
            String[] lines = latin(data).split("\n");
            out.put("qr", judged(() -> qr(qrText(lines[0]), unhex(lines[1]))));
        }
        default -> {
            if (kind.equals("pdf")) return judgeLicence(data, latin(data));
            List<Container> found = containers(data, latin(data));
            need(found.size() == 1, "signatures");
            Container c = found.get(0);
            return kind.equals("cms") ? cms(c.contents, c.signed) : other(c);
        }
        }
        return out;
    }

    static final Map<String, List<String>> PARTS = Map.of("pdf", List.of("document", "seal", "seal_signature", "timestamp", "qr"),
        "cms", List.of("document", "signature"), "ses", List.of("document", "signature"), "esl", List.of("seal"), "qr", List.of("qr"));

    static List<String> words(Path file) {
        String name = file.getFileName().toString(), kind = name.substring(name.lastIndexOf('.') + 1);
        List<String> out = new ArrayList<>(List.of(name));
        try {
            judge(file, kind).forEach((part, verdict) -> out.add(part + "=" + verdict));
        } catch (Exception e) {
            for (String part : PARTS.get(kind)) out.add(part + "=unreadable");
        }
        return out;
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String name; (name = names.readLine()) != null; ) System.out.println(String.join(" ", words(Path.of(name))));
    }
}
