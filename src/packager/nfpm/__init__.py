"""deb and rpm by nfpm. Target and field names are those of the nfpm backend in later Pants versions."""
