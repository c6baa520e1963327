/*
 * Nuclei from the annotation server in QuPath 0.6 and later, and corrected nuclei back to it.
 *
 * Open the image, set the two values below, and run the script (Automate > Script editor). Select a rectangle to
 * request or submit a part of the image. Without a selection the whole image is requested or submitted.
 *
 * ACTION 'request': adds the outlines of the server as annotations of class nucleus.
 * ACTION 'submit': sends the annotations of class nucleus, and those without a class, which become nuclei. Rectangles
 * without a class are not sent, because they mark a part of the image. If a rectangle is selected, its pixels are sent
 * as a separate image, with the annotations within it; all of it that has no annotation counts as background.
 */
import groovy.transform.CompileStatic
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration

ADDRESS = 'http://127.0.0.1:8000'
ACTION = 'request' // or 'submit'

/** The requests of MONAI Label's clients: nothing here needs QuPath. */
@CompileStatic
class AnnotationServer {
    static final String MODEL = 'nuclei'
    static final String BOUNDARY = 'part-of-annotate.groovy'
    final String address
    // the server speaks HTTP 1.1
    private final HttpClient client =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build()

    AnnotationServer(String address) {
        this.address = address.replaceAll('/+$', '')
    }

    /** Name of an image on the server: the name of its file without the suffix. */
    String nameOf(String file) {
        for (int end = file.lastIndexOf('.'); end > 0; end = file.lastIndexOf('.', end - 1)) { // also .ome.tif, .nii.gz
            String name = file.substring(0, end)
            if (send('GET', '/datastore/image?check_only=true&image=' + quoted(name), null).statusCode() == 200)
                return name
        }
        throw new IllegalStateException(
            "the server has no image ${file}; copy the file into the folder of the server, which notices new files")
    }

    /** Whether an annotation is a nucleus; a rectangle without a class (null) marks a part of the image. */
    static boolean isNucleus(String classification, String shape) {
        return classification == 'nucleus' || (classification == null && shape != 'RectangleROI')
    }

    /** Outlines as GeoJSON in pixels of the image; region is [x, y, width, height], null for the whole image. */
    byte[] outlines(String image, List<Integer> region) {
        String place = region == null ? '' :
            ", \"location\": [${region[0]}, ${region[1]}], \"size\": [${region[2]}, ${region[3]}]"
        String path = "/infer/${MODEL}?output=image&image=${quoted(image)}"
        return call('POST', path, ['params': "{\"result_extension\": \".geojson\"${place}}".toString()], null, null, null)
    }

    /** Send the outlines of an image, GeoJSON in its pixels; they replace those that were sent before. */
    void submit(String image, String geojson) {
        String path = "/datastore/label?tag=final&image=${quoted(image)}"
        call('PUT', path, ['params': '{}'], 'label', 'label.geojson', geojson.getBytes('UTF-8'))
    }

    /** Send a part of an image as an image of its own, with its outlines in pixels of the part; return its name. */
    String submitRegion(String image, List<Integer> region, byte[] png, String geojson) {
        String name = "${image}-patch-${region.join('_')}".toString() // so the server knows the slide, and its µm per pixel
        call('PUT', "/datastore/image?image=${quoted(name)}", ['params': '{}'], 'file', 'region.png', png)
        submit(name, geojson)
        return name
    }

    private byte[] call(String method, String path, Map<String, String> fields, String key, String file, byte[] content) {
        ByteArrayOutputStream body = new ByteArrayOutputStream()
        fields.each { String name, String value ->
            String head = "--${BOUNDARY}\r\nContent-Disposition: form-data; name=\"${name}\"\r\n\r\n"
            body.write("${head}${value}\r\n".getBytes('UTF-8'))
        }
        if (file != null) {
            String head = "--${BOUNDARY}\r\nContent-Disposition: form-data; name=\"${key}\"; filename=\"${file}\"\r\n" +
                'Content-Type: application/octet-stream\r\n\r\n'
            body.write(head.getBytes('UTF-8'))
            body.write(content)
            body.write('\r\n'.getBytes('UTF-8'))
        }
        body.write("--${BOUNDARY}--\r\n".getBytes('UTF-8'))
        HttpResponse<byte[]> answer = send(method, path, body.toByteArray())
        if (answer.statusCode() >= 400)
            throw new IllegalStateException("the server refuses the request: ${reason(answer)}")
        return answer.body()
    }

    private HttpResponse<byte[]> send(String method, String path, byte[] body) {
        HttpRequest.BodyPublisher content = body == null ?
            HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(body)
        try {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address + path)).method(method, content)
            if (body != null)
                request.header('Content-Type', "multipart/form-data; boundary=${BOUNDARY}".toString())
            return client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray())
        } catch (IOException | IllegalArgumentException error) {
            throw new IllegalStateException("no annotation server answers at ${address} (${error.class.simpleName}); " +
                "correct ADDRESS at the top of the script, or start the server: scripts/label.sh FOLDER", error)
        }
    }

    private static String reason(HttpResponse<byte[]> answer) {
        String text = new String(answer.body(), 'UTF-8')
        def found = text =~ /"detail":\s*"((?:[^"\\]|\\.)*)"/
        return found.find() ? found.group(1).replace('\\"', '"') : "status ${answer.statusCode()} ${text}"
    }

    private static String quoted(String text) {
        return URLEncoder.encode(text, 'UTF-8').replace('+', '%20')
    }
}

/** What asks QuPath for the image and its annotations. */
def annotate(String address, String action) {
    if (!(action in ['request', 'submit']))
        throw new IllegalStateException("ACTION is '${action}'; write 'request' or 'submit'")
    def image = getCurrentImageData()
    if (image == null)
        throw new IllegalStateException('no image is open; open the image, then run the script')
    def pixels = image.getServer()
    def file = new File(pixels.getURIs().iterator().next().getPath()).getName()
    def selected = getSelectedObject()
    def roi = selected?.getROI()
    if (roi != null && roi.getClass().getSimpleName() != 'RectangleROI')
        throw new IllegalStateException('the selection is no rectangle; select a rectangle, or nothing for the whole image')
    def region = roi == null ? null : [roi.getBoundsX(), roi.getBoundsY(), roi.getBoundsWidth(), roi.getBoundsHeight()]
        .collect { Math.round(it) as int }
    def server = new AnnotationServer(address)
    def name = server.nameOf(file)
    if (action == 'request') {
        def answer = new ByteArrayInputStream(server.outlines(name, region))
        def nuclei = qupath.lib.io.PathIO.readObjectsFromGeoJSON(answer).collect {
            qupath.lib.objects.PathObjects.createAnnotationObject(it.getROI(), it.getPathClass()) // which can be edited
        }
        addObjects(nuclei)
        return "${nuclei.size()} nuclei of ${name} are added"
    }
    def nucleus = getPathClass('nucleus')
    def left = 0
    def nuclei = getAnnotationObjects().findAll { it != selected && it.getROI().isArea() }.findAll {
        def own = it.getROI()
        def inside = roi == null || (own.getBoundsX() >= region[0] && own.getBoundsY() >= region[1] &&
            own.getBoundsX() + own.getBoundsWidth() <= region[0] + region[2] &&
            own.getBoundsY() + own.getBoundsHeight() <= region[1] + region[3])
        def taken = inside && AnnotationServer.isNucleus(it.getPathClass()?.toString(), own.getClass().getSimpleName())
        left += taken ? 0 : 1
        return taken
    }
    if (nuclei.isEmpty())
        throw new IllegalStateException("there is no nucleus to submit, and ${left} other annotations are not sent; " +
            'draw or request nuclei first, and give a nucleus that is a rectangle the class nucleus')
    def copies = nuclei.collect {
        def own = roi == null ? it.getROI() : it.getROI().translate(-region[0], -region[1])
        qupath.lib.objects.PathObjects.createAnnotationObject(own, nucleus)
    }
    def geojson = qupath.lib.io.GsonTools.getInstance().toJson(qupath.lib.io.GsonTools.wrapFeatureCollection(copies))
    if (roi == null) {
        server.submit(name, geojson)
    } else {
        def png = new ByteArrayOutputStream()
        javax.imageio.ImageIO.write(pixels.readRegion(1.0d, region[0], region[1], region[2], region[3]), 'PNG', png)
        name = server.submitRegion(name, region, png.toByteArray(), geojson)
    }
    return "${nuclei.size()} nuclei of ${name} are submitted; ${left} other annotations are not"
}

try {
    println annotate(ADDRESS, ACTION)
} catch (IllegalStateException error) {
    println "error: ${error.message}" // what the user can correct
}
