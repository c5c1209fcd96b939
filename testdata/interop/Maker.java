// Makes CMS signatures and timestamp tokens with BouncyCastle, as another maker would: its own key, its own encoding.
//
// usage: java -cp BCPROV:BCPKIX:BCUTIL Maker.java < JOBS
//
// A job is a line of three words: what to make, the file to sign, the file to write. What: detached, digest (around the
// file's SM3 digest, with attributes), direct (the same without), token (a timestamp over the file).

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Security;
import java.security.spec.ECGenParameterSpec;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInfoGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampTokenGenerator;

public class Maker {
    static final ASN1ObjectIdentifier SM3 = new ASN1ObjectIdentifier("1.2.156.10197.1.401");

    final ContentSigner signer;
    final X509CertificateHolder certificate;
    final DigestCalculatorProvider digests;

    Maker() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec("sm2p256v1"));
        KeyPair pair = generator.generateKeyPair();
        signer = new JcaContentSignerBuilder("SM3withSM2").setProvider("BC").build(pair.getPrivate());
        X500Name name = new X500Name("CN=Another maker,C=CN");
        Date from = new Date(System.currentTimeMillis() - 3600_000), to = new Date(System.currentTimeMillis() + 3600_000);
        certificate = new JcaX509v3CertificateBuilder(name, BigInteger.valueOf(4711), from, to, name, pair.getPublic())
            .addExtension(Extension.extendedKeyUsage, true, new ExtendedKeyUsage(KeyPurposeId.id_kp_timeStamping))
            .build(signer);
        digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
    }

    SignerInfoGenerator info(boolean direct) throws Exception {
        return new JcaSignerInfoGeneratorBuilder(digests).setDirectSignature(direct).build(signer, certificate);
    }

    byte[] cms(byte[] content, boolean attached, boolean direct) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(info(direct));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        CMSSignedData signed = generator.generate(new CMSProcessableByteArray(content), attached);
        return signed.toASN1Structure().getEncoded("DER");
    }

    byte[] token(byte[] digest) throws Exception {
        TimeStampTokenGenerator generator = new TimeStampTokenGenerator(info(false), digests.get(new AlgorithmIdentifier(SM3)), new ASN1ObjectIdentifier("1.2.3.4"));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        generator.setAccuracyMillis(500);
        TimeStampRequestGenerator asking = new TimeStampRequestGenerator();
        asking.setCertReq(true);
        TimeStampRequest request = asking.generate(SM3, digest, BigInteger.valueOf(99));
        return generator.generate(request, BigInteger.ONE, new Date()).toCMSSignedData().toASN1Structure().getEncoded("DER");
    }

    byte[] make(String what, byte[] file) throws Exception {
        byte[] digest = MessageDigest.getInstance("SM3", "BC").digest(file);
        return switch (what) {
        case "detached" -> cms(file, false, false);
        case "digest" -> cms(digest, true, false);
        case "direct" -> cms(digest, true, true);
        case "token" -> token(digest);
        default -> throw new IllegalArgumentException(what);
        };
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Maker maker = new Maker();
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in));
        for (String job; (job = jobs.readLine()) != null; ) {
            String[] words = job.split(" ");
            Files.write(Path.of(words[2]), maker.make(words[0], Files.readAllBytes(Path.of(words[1]))));
        }
    }
}
