"""The processes under test: aiokafka alone, Faust with the ordered gate, our worker."""
