// Asks a timestamp authority with BouncyCastle and Java's own HTTP client, or judges what another client was answered.
//
// usage: java -cp BCPROV:BCPKIX:BCUTIL Requester.java < JOBS
//
// A job is a line: "ask URL FILE" (a timestamp over the file), or "judge QUERY REPLY FILE". The answer is a line: good, or bad and why.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.Security;
import java.util.Arrays;
import java.util.Collection;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.DefaultCMSSignatureAlgorithmNameGenerator;
import org.bouncycastle.cms.SignerInformationVerifier;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.DefaultSignatureAlgorithmIdentifierFinder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.TimeStampToken;

public class Requester {
    static final ASN1ObjectIdentifier SM3 = new ASN1ObjectIdentifier("1.2.156.10197.1.401");

    /** BouncyCastle 1.72 knows SM2 as 1.2.156.10197.1.501 only; the signature itself is what is checked. */
    static class Names extends DefaultCMSSignatureAlgorithmNameGenerator {
        @Override
        public String getSignatureName(AlgorithmIdentifier digest, AlgorithmIdentifier signature) { return "SM3WITHSM2"; }
    }

    static byte[] sm3(byte[] data) throws Exception { return MessageDigest.getInstance("SM3", "BC").digest(data); }

    static String ask(String url, byte[] document) throws Exception {
        TimeStampRequestGenerator generator = new TimeStampRequestGenerator();
        generator.setCertReq(true);
        TimeStampRequest request = generator.generate(SM3, sm3(document), new BigInteger(64, new SecureRandom()));
        HttpResponse<byte[]> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/timestamp-query")
            .POST(HttpRequest.BodyPublishers.ofByteArray(request.getEncoded())).build(), HttpResponse.BodyHandlers.ofByteArray());
        String type = answer.headers().firstValue("Content-Type").orElse("");
        if (answer.statusCode() != 200 || !type.equals("application/timestamp-reply")) return "bad: status " + answer.statusCode() + ", " + type;
        return judge(request, answer.body(), document);
    }

    /** Whether a reply is a token for this request and this document, by the certificate that it brings. */
    static String judge(TimeStampRequest request, byte[] reply, byte[] document) throws Exception {
        TimeStampResponse response = new TimeStampResponse(reply);
        response.validate(request);
        TimeStampToken token = response.getTimeStampToken();
        if (token == null) return "bad: no token: " + response.getStatusString();
        if (!Arrays.equals(token.getTimeStampInfo().getMessageImprintDigest(), sm3(document))) return "bad: another document";
        long age = Math.abs(System.currentTimeMillis() - token.getTimeStampInfo().getGenTime().getTime());
        if (age > 300_000) return "bad: " + age + " ms from now";
        @SuppressWarnings("unchecked")
        Collection<X509CertificateHolder> found = token.getCertificates().getMatches(token.getSID());
        if (found.size() != 1) return "bad: " + found.size() + " certificates of the signer";
        token.validate(new SignerInformationVerifier(new Names(), new DefaultSignatureAlgorithmIdentifierFinder(),
            new JcaContentVerifierProviderBuilder().setProvider("BC").build(found.iterator().next()),
            new JcaDigestCalculatorProviderBuilder().setProvider("BC").build()));
        return "good";
    }

    static String answer(String[] job) throws Exception {
        if (job[0].equals("ask")) return ask(job[1], Files.readAllBytes(Path.of(job[2])));
        return judge(new TimeStampRequest(Files.readAllBytes(Path.of(job[1]))), Files.readAllBytes(Path.of(job[2])), Files.readAllBytes(Path.of(job[3])));
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            try {
                System.out.println(answer(line.split(" ")));
            } catch (Exception e) {
                System.out.println("bad: " + e);
            }
        }
    }
}
