# docker build -t unitok . && docker run --user "$(id -u)" -v "$PWD:/data" unitok demo
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /unitok
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --constraint /unitok/constraints.txt '/unitok[serve,demo]'
ENV HOME=/tmp USER=unitok
WORKDIR /data
USER 1000
ENTRYPOINT ["unitok"]
