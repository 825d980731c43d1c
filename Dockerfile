# Two images: `runner` sweeps a cluster, `tools` is what it injects into pods.
#
#   docker build --target runner -t podmedic/runner .
#   docker build --target tools  -t podmedic/tools .
#
# Where no registry is reached, BASE_IMAGE names any Debian 12 root with ca-certificates.
ARG BASE_IMAGE=debian:bookworm-slim


FROM ${BASE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv --without-pip /opt/podmedic \
 && python3 -m venv /opt/build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore


FROM build AS py-spy
RUN /opt/build/bin/pip install py-spy


FROM build AS dependencies
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *sum(p["optional-dependencies"].values(), []), sep="\n")' \
      > /tmp/dependencies.txt \
 && /opt/build/bin/pip --python /opt/podmedic/bin/python install --no-compile -r /tmp/dependencies.txt \
 # The client's typed models are never imported: their byte code would be a fifth of the image.
 && /opt/podmedic/bin/python -m compileall -q -x 'kubernetes/.*/(api|models)/' /opt/podmedic/lib


FROM dependencies AS package
WORKDIR /src
COPY . ./
# Beside the dependencies: a changed source then is a small layer of its own.
RUN /opt/build/bin/pip --python /opt/podmedic/bin/python install --no-deps --prefix /opt/package .


FROM ${BASE_IMAGE} AS tools
# One command, so that what it removes never becomes a layer.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bind9-dnsutils ca-certificates curl iproute2 jq netcat-openbsd openssl procps python3 \
      strace tcpdump \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf /var/log/* \
      /usr/share/doc /usr/share/info /usr/share/locale /usr/share/man \
 && echo 'podmedic:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'podmedic:x:65532:' >> /etc/group
COPY --from=py-spy /opt/build/bin/py-spy /usr/local/bin/py-spy
# A number, so that the kubelet can see that it is not root. The kubelet passes on the user alone:
# the group is found in /etc/passwd.
USER 65532:65532
WORKDIR /tmp
CMD ["sh"]


FROM ${BASE_IMAGE} AS runner
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf /var/log/* \
      /usr/share/doc /usr/share/info /usr/share/locale /usr/share/man \
 && echo 'podmedic:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'podmedic:x:65532:' >> /etc/group
COPY --from=dependencies /opt/podmedic /opt/podmedic
COPY --from=package /opt/package /opt/podmedic
# The root file system may be read-only: nothing is written but to the report's own volume.
ENV PATH=/opt/podmedic/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["podmedic"]
